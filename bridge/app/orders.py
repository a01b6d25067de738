"""Orders put together for one daemon: directory, flows, wires, and what the desk needs of them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from bridge.asterisk.nonces import Nonces
from bridge.asterisk.order_calls import OrderCalls
from bridge.asterisk.report_calls import ReportCalls
from bridge.asterisk.service import SwitchService
from bridge.channels.phone import PhoneChannel
from bridge.channels.pins import Pins
from bridge.channels.ports_client import PortsClient
from bridge.channels.radio import GatewayChannel, GatewayPost
from bridge.channels.radio_words import MAP27_STATUS, TETRA_STATUS
from bridge.channels.spoken import Speech
from bridge.channels.terminal import TerminalChannel
from bridge.desk.order_parts import OrderParts
from bridge.domain.code import DIGITS
from bridge.domain.delivery import ChannelKind, Progress, Received, Says
from bridge.domain.journal import Fact, Json
from bridge.domain.order import Order
from bridge.domain.unit import Unit
from bridge.flows.calls import Spawn
from bridge.flows.case_desk import CaseDesk
from bridge.flows.order_desk import OrderDesk
from bridge.flows.order_inbox import TRIES_CURSOR, Inbox
from bridge.flows.order_voices import Leg, OrderVoices
from bridge.flows.orders import Orders, Site
from bridge.flows.ports import ActRefused, ActUnknown, Channel, Clock, PhoneSeen
from bridge.flows.recorder import Recorder
from bridge.flows.report_line import ReportLine
from bridge.flows.terminals import Terminals
from bridge.flows.unit_checks import UnitChecks
from bridge.flows.view import View
from bridge.settings.model import OrderSettings, Settings
from bridge.settings.parts import read_secret
from bridge.settings.units import check_call_along, load_units, special_plans
from bridge.settings.wires import PortsSettings
from bridge.store.store import SqliteStore
from bridge.wire.ami import Message

_log = structlog.get_logger(__name__)

TERMINALS_BACK_SECONDS = 3.0
"""After a start terminals get so long to come back before anything is sent anew."""


class Post:
    """`ports.FromChannel`: what wires tell, to the flow that it concerns."""

    def __init__(self, orders: Orders, inbox: Inbox) -> None:
        self._orders = orders
        self._inbox = inbox

    async def progress(self, progress: Progress) -> None:
        """Durable when it returns."""
        await self._orders.progress(progress)

    async def received(self, received: Received) -> bool:
        """Durable when it returns; whether it counted."""
        return await self._inbox.received(received)


class OrderService:
    """All of one daemon's orders. `post` is what further wires are made with, `use` adds them."""

    def __init__(
        self,
        settings: OrderSettings,
        orders: Orders,
        inbox: Inbox,
        parts: OrderParts,
        calls: OrderCalls,
        reports: ReportCalls,
        cases: CaseDesk,
        voices: OrderVoices,
    ) -> None:
        self.settings = settings
        self.orders = orders
        self.post = Post(orders, inbox)
        self.parts = parts
        self.calls = calls
        self.reports = reports
        self.voices = voices
        self._cases = cases
        self.ports: PortsClient | None = None
        self.gateways: GatewayPost | None = None
        self.on_gateway: list[Callable[[Mapping[str, Any]], None]] = []
        """Hear what gateways tell in passing: keys, squelch, health."""
        self.beside: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """What wires do beside, as long as orders are carried."""

    def use(self, channel: Channel) -> None:
        """From now on there is this wire."""
        self.orders.use(channel)

    async def run(self) -> None:
        """Until cancelled: first what an earlier life left, then what is due. The port process is
        listened to at once: it tells how radios are and what came meanwhile."""
        async with asyncio.TaskGroup() as tasks:
            if self.ports is not None:
                tasks.create_task(self.ports.run(), name="ports")
            for work in self.beside:
                tasks.create_task(work(), name="a wire's work")
            await asyncio.sleep(TERMINALS_BACK_SECONDS)
            self.orders.resume()
            self._cases.resume()
            tasks.create_task(self.orders.run(), name="orders due")
            tasks.create_task(self.parts.checks.run(), name="unit checks")


@dataclass(frozen=True, slots=True)
class Around:
    """What every part of orders is made with."""

    settings: Settings
    store: SqliteStore
    view: View
    recorder: Recorder
    clock: Clock
    spawn: Spawn


async def open_orders(
    around: Around,
    switch: SwitchService,
    calls: OrderCalls,
    held_elsewhere: Callable[[str], bool],
    tracks: Callable[[str, Sequence[Leg]], Awaitable[Mapping[str, Json]]],
    cases: CaseDesk,
) -> OrderService | None:
    """Orders of an earlier life restored, the wires ready; None where the site gives no orders.

    Raises SettingsError for a directory of units that cannot be used.
    """
    own = around.settings.orders
    if own is None:
        return None
    units = await asyncio.to_thread(load_units, own.units_file)
    check_call_along(own, units, around.settings.targets())
    orders = await _restored(around, own, units)
    inbox = Inbox(orders, await around.store.reader.cursor(TRIES_CURSOR))
    post = Post(orders, inbox)
    terminals, terminal = _terminal(around, orders, post)
    phone = _phone(around, own, orders, post, calls)
    voices = OrderVoices(orders, tracks, calls.there, around.spawn)
    voices.restore(await _on_record(around.store, orders))
    line = ReportLine(orders, inbox, Pins().verify, voices)
    clock = around.clock
    reports = ReportCalls(calls.link, line, around.spawn, clock.now, Nonces(clock.monotonic))

    def see(seen: PhoneSeen) -> None:
        voices.see(seen)
        phone.see(seen)

    _connect(calls, reports, switch, see, around.spawn)
    switch.on_settled = _settled(calls, phone, orders, voices, around.spawn)
    desk = OrderDesk(orders, cases.known, _number, own.copy_to, held_elsewhere)
    cases.direct(desk, special_plans(own, units))
    parts = OrderParts(
        orders=orders,
        inbox=inbox,
        desk=desk,
        checks=UnitChecks(orders, timedelta(hours=own.check_hours)),
        terminals=terminals,
        marks=terminal,
        reads=around.store.reader,
        ack_keys=_ack_keys(around.settings),
    )
    service = OrderService(own, orders, inbox, parts, calls, reports, cases, voices)
    service.use(terminal)
    service.use(phone)
    if around.settings.ports is not None:
        _use_ports(service, around.settings.ports, post, around.clock, around.view)
    return service


async def _restored(around: Around, own: OrderSettings, units: Mapping[str, Unit]) -> Orders:
    orders = Orders(
        recorder=around.recorder,
        clock=around.clock,
        memory=around.store.reader,
        units=units,
        site=Site(own.centre, own.centre_number, around.settings.site.tz),
        spawn=around.spawn,
        alarm=around.view.alarm,
    )
    facts = await _open_facts(around.store)
    orders.restore(facts)
    around.view.restore(facts)
    return orders


def _terminal(around: Around, orders: Orders, post: Post) -> tuple[Terminals, TerminalChannel]:
    view = around.view

    def changed(unit: str, online: bool) -> None:
        if online:
            view.alarm(f"terminal.{unit}", "")

    terminals = Terminals(changed)
    users = {user: unit.id for unit in orders.units.values() for user in unit.users}
    channel = TerminalChannel(
        terminals,
        post,
        attempt_of=orders.attempt,
        user_unit=users.get,
        alarm=view.alarm,
        now=around.clock.now,
        spawn=around.spawn,
    )
    return terminals, channel


def _phone(
    around: Around, own: OrderSettings, orders: Orders, post: Post, calls: OrderCalls
) -> PhoneChannel:
    return PhoneChannel(
        calls,
        post,
        Speech(own.spoken),
        now=around.clock.now,
        spawn=around.spawn,
        seat_of=lambda order: _seat(orders, order),
        lines=own.phone_lines,
        green_trunk=own.green_trunk,
    )


def _passing(view: View, service: OrderService, boards: set[str], body: Mapping[str, Any]) -> None:
    """A gateway's health and the modem board: the desk sees which radio or modem is lost. `boards`
    learns whose boards there are."""
    for hear in service.on_gateway:
        hear(body)
    gateway = str(body.get("gateway", ""))
    if body.get("type") == "health":
        words = "" if body.get("usable") else str(body.get("words", "")) or "away"
        view.alarm(f"gateway.{gateway}", words)
    elif body.get("type") == "board":
        names = ("modems", "waiting", "paused")
        boards.add(gateway)
        view.board(gateway, {name: body.get(name) for name in names})


def _ports_away(view: View, boards: set[str], words: str) -> None:
    """What the modems do is not known while nobody tells."""
    view.alarm("ports", words)
    if words:
        view.no_boards(boards)


def _use_ports(
    service: OrderService, own: PortsSettings, post: Post, clock: Clock, view: View
) -> None:
    """Radio and SMS, by the process that owns their gateways."""
    tetra = {int(number, 16): Says(says) for number, says in own.tetra_status.items()}
    map27 = {int(number): Says(says) for number, says in own.map27_status.items()}
    gateways = GatewayPost(post, tetra=tetra or TETRA_STATUS, map27=map27 or MAP27_STATUS)
    service.gateways = gateways
    boards: set[str] = set()
    service.ports = PortsClient(
        own.socket,
        gateways.take,
        on_passing=lambda body: _passing(view, service, boards, body),
        on_away=lambda words: _ports_away(view, boards, words),
    )
    for kind in (ChannelKind.RADIO, ChannelKind.SMS):
        service.use(GatewayChannel(kind, service.ports, post, clock))


def _connect(
    calls: OrderCalls,
    reports: ReportCalls,
    switch: SwitchService,
    see: Callable[[PhoneSeen], None],
    spawn: Spawn,
) -> None:
    """What the switch sees of order calls, to the wire that made them."""
    calls.see = see

    async def later(seconds: float, seen: PhoneSeen) -> None:
        await asyncio.sleep(seconds)
        see(seen)

    calls.spawn_later = lambda seconds, seen: spawn(later(seconds, seen), "order call failed")

    def event(message: Message) -> None:
        calls.event(message)
        reports.event(message)

    switch.on_event = event
    switch.on_row = calls.row


def _settled(
    calls: OrderCalls, phone: PhoneChannel, orders: Orders, voices: OrderVoices, spawn: Spawn
) -> Callable[[bool], None]:
    """What to do when the link is whole, or lost."""

    async def tidy() -> None:
        """Calls that died unseen, and those about orders that were cancelled or signed for while
        nobody could stop them."""
        try:
            up = await calls.up_now()
            await phone.found(up)
            for ident in up:
                attempt = orders.attempt(ident)
                if attempt is None or attempt.stopping:
                    await calls.hang_up(ident)
        except (ActRefused, ActUnknown) as error:
            _log.warning("order.calls_not_tidied", reason=str(error))

    def settled(up: bool) -> None:
        if not up:
            calls.settled.clear()
            phone.lost()
            return
        calls.settled.set()
        spawn(tidy(), "order calls")
        spawn(voices.look(), "recordings of order calls")

    return settled


async def _open_facts(store: SqliteStore) -> list[Fact]:
    facts: list[Fact] = []
    after = 0
    while page := await store.reader.facts_of_open_orders(after):
        facts += [entry.fact for entry in page]
        after = page[-1].seq
    return facts


async def _on_record(store: SqliteStore, orders: Orders) -> list[Order]:
    """Orders about which a call's recording is open, also those that are over."""
    idents = {row.id for row in await store.reader.orders_on_record()}
    found = [await orders.find(ident) for ident in sorted(idents)]
    return [order for order in found if order is not None]


def _seat(orders: Orders, ident: str) -> str:
    order = orders.book.orders.get(ident)
    return order.seat or "" if order is not None else ""


def _number() -> int:
    return secrets.randbelow(10**DIGITS)


def _ack_keys(settings: Settings) -> tuple[bytes, ...]:
    """Keys that may have signed a link in a mail; none where the site sends no mail."""
    if settings.mail is None:
        return ()
    return (read_secret("mail.link_key_file", settings.mail.link_key_file).encode(),)
