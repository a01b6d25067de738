"""Radio groups in calls: the key follows whoever talks with the group, within half duplex.

A radio group's leg is a third party like any other: the switch mixes it, records it, ends it. What
is different is told here: while the leg is in a conversation, its companions are listened to, and
the gateway's key is pressed while one of them talks (`domain.floor`). Lead-in, busy channel and
time-out timer are the gateway's own (`hardware.radio.keying`). A leg of a radio that nobody
watches ends by itself after LIVES_S, so that without this daemon no citizen is left alone with a
radio that nobody can key.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from bridge.domain.call import Book, Call, Leg, Role, live_calls
from bridge.domain.floor import Floor
from bridge.domain.journal import Entry, Json
from bridge.flows.calls import Spawn
from bridge.flows.ports import ActRefused, ActUnknown, Clock, Keys, TalkLines

_log = structlog.get_logger(__name__)

LOOK_S: Final = 5.0
"""Seconds between two looks at all calls; in between facts and events say what moves."""
LIVES_S: Final = 20

Tell = Callable[[str, str, dict[str, Json]], None]


@dataclass(frozen=True, slots=True)
class Group:
    """A radio group's gateway: its name in the port process, the talk group there, and how long
    the key is held after the last word (seconds)."""

    id: str
    gateway: str
    group: str
    hang_s: float


@dataclass
class _Talk:
    """One radio leg in one conversation."""

    call: str
    leg: str
    channel: str
    group: Group
    floor: Floor
    listened: dict[str, str] = field(default_factory=dict)
    """Legs that are listened to, with their channels."""
    press: str = ""
    """The press that we hold, empty where we hold none."""
    on_air: bool = False
    carrier: bool | None = None
    """What the squelch told last; None: this gateway has told of none, the sound must tell."""


class RadioVoice:
    """`tell(type, call, data)` is an event about a call that is no fact; `alarm` a person's."""

    def __init__(
        self,
        book: Book,
        groups: Mapping[str, Group],
        lines: TalkLines,
        keys: Keys,
        *,
        tell: Tell,
        clock: Clock,
        spawn: Spawn,
    ) -> None:
        self._book = book
        self._groups = groups
        self._lines = lines
        self._keys = keys
        self._tell = tell
        self._clock = clock
        self._spawn = spawn
        self._talks: dict[str, _Talk] = {}
        self._numbers = itertools.count(1)
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled; then every key is let go."""
        try:
            while True:
                self._look_at_all()
                await self._pause()
        finally:
            for talk in self._talks.values():
                self._let_go(talk, "daemon-ends")

    async def _pause(self) -> None:
        """Until LOOK_S are over; keys whose time has come move on the way."""
        end = self._clock.monotonic() + LOOK_S
        while (now := self._clock.monotonic()) < end:
            due = [d for t in self._talks.values() if (d := t.floor.deadline(now)) is not None]
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.001, min([end, *due]) - now)):
                    await self._wake.wait()
            for talk in list(self._talks.values()):
                self._move(talk)

    # Who is with whom

    def see(self, entries: Sequence[Entry]) -> None:
        """Facts that are durable now: somebody joined, left or ended."""
        for ident in {entry.fact.call for entry in entries if entry.fact.call}:
            self._look(ident)

    def _look_at_all(self) -> None:
        for call in list(live_calls(self._book)):
            self._look(call.id)
        for talk in list(self._talks.values()):
            if talk.call not in self._book.calls:
                self._end(talk)
            else:
                self._do(self._lines.live_for(talk.channel, LIVES_S))

    def _look(self, ident: str) -> None:
        call = self._book.calls.get(ident)
        if call is None:
            return
        for leg in call.legs.values():
            if leg.role is Role.RADIO and leg.id not in self._talks and leg.bridge and leg.live:
                self._begin(call, leg)
        for talk in [one for one in self._talks.values() if one.call == ident]:
            self._settle(call, talk)

    def _begin(self, call: Call, leg: Leg) -> None:
        group = self._groups.get(leg.name.removeprefix("radio-"))
        if group is None:
            return
        floor = Floor(group.hang_s)
        talk = self._talks[leg.id] = _Talk(call.id, leg.id, leg.channel, group, floor)
        self._do(self._lines.live_for(leg.channel, LIVES_S))
        self._do(self._lines.listen(leg.channel))
        _log.info("radio.joined", call=call.id, group=group.id, gateway=group.gateway)
        self._settle(call, talk)

    def _settle(self, call: Call, talk: _Talk) -> None:
        """Listen to those who are with the radio now, and no longer to those who are not."""
        own = call.legs.get(talk.leg)
        if own is None or not own.live:
            self._end(talk)
            return
        there = {leg.id: leg for leg in call.companions(own) if leg.role is not Role.RADIO}
        for ident in [one for one in talk.listened if one not in there]:
            talk.floor.talks(ident, False, self._clock.monotonic())
            self._hear_no_more(talk, ident, talk.listened.pop(ident))
        for ident, leg in there.items():
            if ident not in talk.listened:
                talk.listened[ident] = leg.channel
                self._do(self._lines.listen(leg.channel))
        self._move(talk)
        self._wake.set()

    def _end(self, talk: _Talk) -> None:
        self._let_go(talk, "left")
        del self._talks[talk.leg]
        for ident, channel in talk.listened.items():
            self._hear_no_more(talk, ident, channel)
        call = self._book.calls.get(talk.call)
        others = [one for one in self._talks.values() if one.call == talk.call]
        if call is not None and call.persons() and not others:
            self._do(self._lines.left(call.channel))

    def _hear_no_more(self, talk: _Talk, ident: str, channel: str) -> None:
        call = self._book.calls.get(talk.call)
        leg = call.legs.get(ident) if call is not None else None
        if leg is not None and leg.live:
            self._do(self._lines.deaf(channel))
            self._tell("leg.talking", talk.call, {"leg": ident, "on": False})

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self._spawn(self._act(work), "radio line")

    @staticmethod
    async def _act(work: Coroutine[Any, Any, None]) -> None:
        """A leg may be gone by now; the next look tries what still matters."""
        try:
            await work
        except (ActRefused, ActUnknown) as error:
            _log.info("radio.not_done", reason=str(error))

    # Who talks

    def talking(self, call: str, leg: str, on: bool) -> None:
        """Somebody began or ended to talk on the switch."""
        for talk in [one for one in self._talks.values() if one.call == call]:
            if leg != talk.leg:
                if leg in talk.listened:
                    talk.floor.talks(leg, on, self._clock.monotonic())
            elif talk.carrier is None and not talk.on_air:  # else it is our own sound
                talk.floor.radio(on)
            self._move(talk)
        self._wake.set()

    def passing(self, body: Mapping[str, Any]) -> None:
        """What the port process tells of its gateways, or that it is lost, its keys with it."""
        kind, gateway = body.get("type"), body.get("gateway")
        for talk in list(self._talks.values()):
            if kind == "lost":
                if talk.press:
                    self._over(talk, "ports-away")
            elif talk.group.gateway != gateway:
                continue
            elif kind == "keying" and body.get("id") == talk.press:
                self._keying(talk, body)
            elif kind == "event" and body.get("kind") == "call":
                self._carrier(talk, str(body.get("state")))
            self._move(talk)
        self._wake.set()

    def _carrier(self, talk: _Talk, state: str) -> None:
        """The squelch opened or closed: from the first time on it alone tells that the group
        talks. States of our own key say nothing about it."""
        open_ = state == "listening"
        if open_ is talk.carrier or (talk.carrier is None and not open_):
            return
        if talk.carrier is None:
            self._do(self._lines.deaf(talk.channel))
        talk.carrier = open_
        talk.floor.radio(open_)
        self._tell("leg.talking", talk.call, {"leg": talk.leg, "on": open_})

    def _keying(self, talk: _Talk, body: Mapping[str, Any]) -> None:
        if body.get("state") == "ready":
            talk.on_air = True
            talk.floor.keyed(True)
            self._told(talk, True, "talking")
        else:
            self._over(talk, str(body.get("why", "")))

    def _over(self, talk: _Talk, why: str) -> None:
        """The key was let go by the gateway, not by us."""
        talk.press, talk.on_air = "", False
        talk.floor.ended()
        self._told(talk, False, why)

    def _move(self, talk: _Talk) -> None:
        wanted = talk.floor.wanted(self._clock.monotonic())
        if wanted and not talk.press:
            ident = f"voice-{talk.leg}-{next(self._numbers)}"
            if self._keys.press(ident, talk.group.gateway, talk.group.group):
                talk.press = ident
            else:
                self._over(talk, "ports-away")
        elif talk.press and not wanted:
            self._let_go(talk, "silence")

    def _let_go(self, talk: _Talk, why: str) -> None:
        if not talk.press:
            return
        self._keys.release(talk.press)
        was_on_air, talk.press, talk.on_air = talk.on_air, "", False
        talk.floor.keyed(False)
        if was_on_air:
            self._told(talk, False, why)

    def _told(self, talk: _Talk, on: bool, why: str) -> None:
        _log.info("radio.ptt", call=talk.call, group=talk.group.id, on=on, why=why)
        data: dict[str, Json] = {"leg": talk.leg, "group": talk.group.id, "on": on, "why": why}
        self._tell("radio.ptt", talk.call, data)
