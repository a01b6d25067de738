"""Every voice of a call about an order is on record: one track a leg, hashed when it ends.

What has a track is a fact before the call ends, so that a start finds the recordings that an
earlier life did not close. A track that is missing or cannot be closed is an alarm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from bridge.domain.journal import Json, parse_iso
from bridge.domain.order import Order
from bridge.domain.order_voice import on_record, recorded
from bridge.flows.calls import Spawn
from bridge.flows.mailbox import Mailbox
from bridge.flows.orders import AGAIN_SECONDS, Orders
from bridge.flows.ports import ActError, PhoneSeen, RadioSeen, StoreError

_log = structlog.get_logger(__name__)

UNIT_LEG, RADIO_LEG, SEAT_LEG = "unit", "radio", "seat-"
Leg = tuple[str, datetime, datetime | None]
"""Name, since when it has a track, when it left (None: not known)."""


class OrderVoices:
    """`close` hashes the tracks of an ended call; `there` names the channels that are up now."""

    def __init__(
        self,
        orders: Orders,
        close: Callable[[str, Sequence[Leg]], Awaitable[Mapping[str, Json]]],
        there: Callable[[], Awaitable[set[str]]],
        spawn: Spawn,
    ) -> None:
        self._orders = orders
        self._close = close
        self._there = there
        self._spawn = spawn
        self._open: dict[str, str] = {}
        self._boxes: dict[str, Mailbox] = {}

    def see(self, seen: PhoneSeen) -> None:
        """What happened on a call of ours, in its order. Never blocks."""
        order = seen.attempt.rpartition(".")[0]
        if seen.what == "answered":
            self.heard(order, seen.call, UNIT_LEG, seen.at)
        elif seen.what == "seat":
            self.heard(order, seen.call, f"{SEAT_LEG}{seen.number}", seen.at)
        elif seen.what == "ended":
            self.ended(seen.call, seen.at)

    def see_radio(self, seen: RadioSeen) -> None:
        """What happened on a call to a gateway's line, which is recorded from its answer on."""
        if seen.what == "waits":
            self.heard(seen.attempt.rpartition(".")[0], seen.call, RADIO_LEG, seen.at)
        elif seen.what == "ended":
            self.ended(seen.call, seen.at)

    def heard(self, order: str, call: str, leg: str, since: datetime) -> None:
        """A leg of a call about that order has a track."""
        self._open[call] = order

        async def store() -> None:
            await self._orders.until_stored(order, lambda work: on_record(work, call, leg, since))

        self._in_turn(call, store)

    def ended(self, call: str, at: datetime | None) -> None:
        """That call is over; calls of which nothing is on record mean nothing here."""
        order = self._open.get(call)
        if order is not None:
            self._in_turn(call, lambda: self._settle(order, call, at))

    def restore(self, orders: Iterable[Order]) -> None:
        """Recordings that an earlier life left open."""
        self._open.update((call, order.id) for order in orders for call in order.on_record)

    async def look(self) -> None:
        """Close the recordings of calls that ended while nobody watched."""
        left = list(self._open)
        try:
            up = await self._there() if left else set()
        except ActError as error:  # the next time that the link is whole
            _log.warning("order.voices_not_looked", reason=str(error))
            return
        for call in left:
            if call not in up:
                self.ended(call, None)

    def _in_turn(self, call: str, work: Callable[[], Awaitable[None]]) -> None:
        box = self._boxes.setdefault(call, Mailbox())
        self._spawn(box.in_turn(work), f"voices of {call}")

    async def _settle(self, ident: str, call: str, at: datetime | None) -> None:
        order = await self._find(ident)
        since = order.on_record.get(call) if order is not None else None
        if since is not None:
            legs = [
                (leg, parse_iso(str(begun)), None if leg.startswith(SEAT_LEG) else at)
                for leg, begun in since.items()
            ]
            found = await self._close(call, legs)
            await self._orders.until_stored(ident, lambda work: recorded(work, call, found))
            if found.get("error") or found.get("missing"):
                words = f"指令 {ident} 通话 {call} 录音缺失 / a recording is missing"
                self._orders.alarm(f"order.{ident}.recording", words)
        self._open.pop(call, None)
        self._boxes.pop(call, None)

    async def _find(self, ident: str) -> Order | None:
        while True:
            try:
                return await self._orders.find(ident)
            except StoreError as error:
                _log.warning("order.unreadable", order=ident, reason=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
