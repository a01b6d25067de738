"""Orders by fax for one daemon, put together; the modems are the port process's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from fastapi import APIRouter

from bridge.app.orders import OrderService
from bridge.channels.fax import FaxChannel, FaxInbox, FaxPolicy, Reading
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


class Cursors(Protocol):
    """Stored positions by name."""

    async def cursor(self, name: str) -> str | None: ...


async def read_returned(file: Path) -> Reading:
    """What the file of one page says, read in a confined process (guard S12). Whatever is wrong
    with it is its trouble: a person looks."""
    try:
        pages = await read_file(file)
    except (Unreadable, OSError) as error:
        return Returned(trouble=f"传真无法识读 / the page cannot be read: {error}"[:300])
    if len(pages) != 1:
        return Returned(trouble=f"文件有 {len(pages)} 页 / {len(pages)} pages in place of one")
    return pages[0].read


class FaxParts:
    """The wire `fax` of one daemon: its channel, its desk, and the routes of the desk."""

    def __init__(self, channel: FaxChannel, desk: FaxDesk, door: APIRouter) -> None:
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
            "[fax]: 需要 [ports]，调制解调器由端口进程拥有 / [ports] is needed too: the port "
            "process owns the modems"
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
) -> FaxParts:
    """The wire `fax`, and the inbox of pages. Raises SettingsError."""
    client, post = modems_of(service.ports, service.gateways)
    sent = sent_folder(settings)
    try:
        await asyncio.to_thread(sent.mkdir, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"fax.inbox: {error}") from error

    async def tell_modems(paused: Mapping[str, str]) -> None:
        with contextlib.suppress(PortsAway):  # it is told when it is there
            await client.ask("pause", paused=dict(paused))

    stored = await reader.cursor(RULES_CURSOR)
    desk = FaxDesk(recorder, clock, service.post, view.alarm, stored, tell_modems)
    units = service.orders.units

    def hours(job: Job) -> str:
        unit = units.get(job.sheet.unit)
        own = unit.fax_hours if unit is not None else ""
        return own or settings.hours or ""

    client.on_up = lambda: spawn(desk.tell_modems(), "fax pauses")
    post.tell = desk
    post.fax = FaxInbox(settings.inbox, read_returned, desk)
    policy = FaxPolicy(lambda: desk.rules, hours, zone, sent)
    channel = FaxChannel(client, documents.paper, desk, clock, policy)
    return FaxParts(channel, desk, faxes(desk, view))
