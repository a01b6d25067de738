"""Looks after what no event tells: telephones that fall silent, seats left alone, our heartbeat.

Only legs whose silence the citizen would hear are counted: the one other party of a conversation of
two.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime

from bridge.asterisk.errors import ActionError
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.stillness import Heard, Stillness
from bridge.domain.call import Book, Call, Leg, live_calls
from bridge.domain.conversation import E, S
from bridge.domain.seen import AnySeen, Noted

POLL_S = 0.4
STILL_POLLS = 2
"""Polls without a new packet after which a telephone counts as dead: 0.8 s, 40 packets."""
ALONE_S = 1.0
"""A seat alone in a bridge for so long is brought back to its citizen (sheet, section 3)."""
HEARTBEAT_S = 1.0
LOOK_S = 0.1
"""While the link is away: the plans hear of us soon after it is back."""
AT_ONCE = 32
"""Packet counts asked for at the same time."""


async def packets_of(link: AmiLink, channel: str) -> int | None:
    """RTP packets that a channel has received so far; None while that cannot be told. Holds no lock
    of Asterisk's, as a dialplan's IMPORT would."""
    try:
        answer = await link.call(
            "Getvar", {"Channel": channel, "Variable": "CHANNEL(rtcp,rxcount)"}
        )
    except ActionError:
        return None
    text = answer.get("Value")
    return int(text) if text.isdigit() else None


class Watch:
    """Two loops beside the link: `run` counts packets and seats, `beat` sets the heartbeat."""

    def __init__(
        self,
        link: AmiLink,
        book: Book,
        see: Callable[[AnySeen], None],
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._link = link
        self._book = book
        self._see = see
        self._now = now
        self._monotonic = monotonic
        self._stillness = Stillness(STILL_POLLS, unproved=True)
        self._alone: dict[str, float] = {}
        self.on_hold: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began = self._monotonic()
            if self._link.state.usable and self._book.calls:
                await self._packets()
                self._seats_alone()
            await asyncio.sleep(max(0.05, POLL_S - (self._monotonic() - began)))

    async def beat(self) -> None:
        """Until cancelled: tell the plans each second that we are here to be asked."""
        while True:
            usable = self._link.state.usable
            if usable:
                second = str(int(self._now().timestamp()))
                with contextlib.suppress(ActionError):  # the link says by itself how it is
                    await self._link.call("Setvar", {"Variable": "HEARTBEAT", "Value": second})
            await asyncio.sleep(HEARTBEAT_S if usable else LOOK_S)

    async def _packets(self) -> None:
        due = list(self._listened())
        self._stillness.keep({leg.id for _, leg in due})
        for start in range(0, len(due), AT_ONCE):
            part = due[start : start + AT_ONCE]
            await asyncio.gather(*(self._count(call, leg) for call, leg in part))

    def _listened(self) -> Iterator[tuple[Call, Leg]]:
        for call in live_calls(self._book):
            others = call.others()
            if call.state in (S.TALKING, S.ALTERNATED) and len(others) == 1:
                if others[0].channel not in self.on_hold:
                    yield call, others[0]
            elif call.state is S.HELD and (call.intent or {}).get("kind") == "dead-phone":
                leg = call.legs.get(str((call.intent or {}).get("leg")))
                if leg is not None and leg.live:
                    yield call, leg

    async def _count(self, call: Call, leg: Leg) -> None:
        packets = await packets_of(self._link, leg.channel)
        if packets is None:
            return
        heard = self._stillness.counted(leg.id, packets)
        held_as_dead = (call.intent or {}).get("kind") == "dead-phone"
        if heard is Heard.BACK or (heard is Heard.MOVES and held_as_dead):
            self._note(call, leg, E.PHONE_BACK)
        elif heard is Heard.STILL:
            self._note(call, leg, E.PHONE_STILL)

    def _seats_alone(self) -> None:
        now = self._monotonic()
        alone: dict[str, float] = {}
        for call in live_calls(self._book):
            for leg in call.legs.values():
                if leg.seat and leg.live and leg.bridge and not call.companions(leg):
                    alone[leg.id] = since = self._alone.get(leg.id, now)
                    if now - since >= ALONE_S:
                        alone[leg.id] = now
                        self._note(call, leg, E.SEAT_ALONE)
        self._alone = alone

    def _note(self, call: Call, leg: Leg, what: E) -> None:
        self._see(Noted(call=call.id, at=self._now(), what=what, leg=leg.id))
