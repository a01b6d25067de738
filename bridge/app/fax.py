"""Orders by fax for one daemon, put together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from fastapi import APIRouter

from bridge.app.orders import OrderService
from bridge.asterisk.cel import Row
from bridge.asterisk.fax_calls import FaxCalls
from bridge.asterisk.service import SwitchService
from bridge.channels.fax import FaxChannel, FaxInbox, FaxPolicy, Reading
from bridge.channels.fax_lines import LineBoard
from bridge.channels.fax_spool import FaxSpool
from bridge.channels.fax_switch import Lines, SwitchFax
from bridge.channels.ports_client import PortsAway, PortsClient
from bridge.channels.radio import GatewayPost
from bridge.desk.fax_rest import faxes
from bridge.documents.limited import Unreadable, read_file
from bridge.documents.returned import Returned
from bridge.documents.service import Documents
from bridge.domain.delivery import Job
from bridge.flows.calls import Spawn
from bridge.flows.fax_desk import RULES_CURSOR, FaxDesk
from bridge.flows.ports import Clock
from bridge.flows.recorder import Recorder
from bridge.flows.view import View
from bridge.settings.model import SettingsError
from bridge.settings.wires import Fax
from bridge.wire.ami import Message


class Cursors(Protocol):
    """Stored positions by name."""

    async def cursor(self, name: str) -> str | None: ...


async def read_returned(file: Path) -> Reading:
    """What the file of one page says."""
    pages = await read_pages(file)
    if len(pages) != 1:
        return Returned(trouble=f"文件有 {len(pages)} 页 / {len(pages)} pages in place of one")
    return pages[0]


async def read_pages(file: Path) -> Sequence[Reading]:
    """What the pages of a file say, read in a confined process (guard S12). Whatever is wrong
    with it is its trouble: a person looks."""
    try:
        return [page.read for page in await read_file(file)]
    except (Unreadable, OSError) as error:
        return [Returned(trouble=f"传真无法识读 / the page cannot be read: {error}"[:300])]


class FaxParts:
    """The wire `fax` of one daemon: its channel, its desk, and the routes of the desk."""

    def __init__(self, channel: FaxChannel | SwitchFax, desk: FaxDesk, door: APIRouter) -> None:
        self.channel = channel
        self.desk = desk
        self.door = door


def sent_folder(settings: Fax) -> Path:
    """Where a copy of each fax is kept."""
    return settings.inbox / "sent"


def modems_of(
    client: PortsClient | None, post: GatewayPost | None
) -> tuple[PortsClient, GatewayPost]:
    """The way to the modems. Raises SettingsError where the site has none."""
    if client is None or post is None:
        raise SettingsError(
            "[fax]: 需要 [ports](调制解调器)或 [fax.trunk](中继线) / needs [ports], whose process "
            "owns the modems, or [fax.trunk]"
        )
    return client, post


async def open_fax(
    settings: Fax,
    service: OrderService,
    documents: Documents,
    recorder: Recorder,
    reader: Cursors,
    clock: Clock,
    view: View,
    spawn: Spawn,
    zone: str,
    switch: SwitchService,
) -> FaxParts:
    """The wire `fax`, over modems or over the lines of the switch, and the inbox of pages. Raises
    SettingsError."""
    sent = sent_folder(settings)
    await _make(sent, "fax.inbox")
    tell_modems: list[Callable[[Mapping[str, str]], Awaitable[None]]] = []

    async def tell_all(paused: Mapping[str, str]) -> None:
        for tell in tell_modems:
            await tell(paused)

    stored = await reader.cursor(RULES_CURSOR)
    desk = FaxDesk(recorder, clock, service.post, view.alarm, stored, tell_all)
    units = service.orders.units

    def hours(job: Job) -> str:
        unit = units.get(job.sheet.unit)
        own = unit.fax_hours if unit is not None else ""
        return own or settings.hours or ""

    policy = FaxPolicy(lambda: desk.rules, hours, zone, sent)
    channel: FaxChannel | SwitchFax
    if settings.trunk is None:
        client, post = modems_of(service.ports, service.gateways)

        async def tell_ports(paused: Mapping[str, str]) -> None:
            with contextlib.suppress(PortsAway):  # it is told when it is there
                await client.ask("pause", paused=dict(paused))

        tell_modems.append(tell_ports)
        client.on_up = lambda: spawn(desk.tell_modems(), "fax pauses")
        post.tell = desk
        post.fax = FaxInbox(settings.inbox, read_returned, desk)
        channel = FaxChannel(client, documents.paper, desk, clock, policy)
    else:
        for name in ("out", "in"):
            await _make(settings.trunk.spool / name, "fax.trunk.spool")
        calls = FaxCalls(service.calls.link, clock.now, _later)
        trunk = settings.trunk
        lines = Lines(calls, trunk.endpoint, trunk.lines, trunk.spool / "out")
        board = LineBoard(
            calls.pages, trunk.endpoint, trunk.lines, lambda data: view.board(trunk.endpoint, data)
        )
        channel = SwitchFax(lines, documents.paper, desk, clock, policy, spawn, board)
        service.beside.append(board.run)
        spool = FaxSpool(trunk.spool / "in", settings.inbox, read_pages, desk, calls, spawn)
        _connect(switch, calls, channel, spool)
        tell_modems.append(channel.pause)
        await desk.tell_modems()
    return FaxParts(channel, desk, faxes(desk, view))


def _later(seconds: float, do: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, do)


def _connect(switch: SwitchService, calls: FaxCalls, channel: SwitchFax, spool: FaxSpool) -> None:
    """What the switch sees of fax calls, to the wire and to the spool."""
    calls.see, calls.came = channel.see, spool.came
    seen, learnt, settled = switch.on_event, switch.on_row, switch.on_settled

    def event(message: Message) -> None:
        seen(message)
        calls.event(message)

    def row(one: Row) -> None:
        learnt(one)
        calls.row(one)

    def whole(up: bool) -> None:
        settled(up)
        if not up:
            calls.settled.clear()
            channel.unsettled()
            return
        calls.settled.set()
        channel.settled()
        spool.settled()

    switch.on_event, switch.on_row, switch.on_settled = event, row, whole


async def _make(place: Path, key: str) -> None:
    try:
        await asyncio.to_thread(place.mkdir, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{key}: {error}") from error
