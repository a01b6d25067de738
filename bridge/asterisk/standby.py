"""The stand-by (备援): looks after telephones that fall silent while the daemon is dead or cut off.

A process of its own with its own link. It knows no cases and stores nothing: where a citizen is
alone with one other party that sends no packet any more, it does what the daemon would have done
half a second before (`watch`): the citizen hears the sound of being held, until the telephone is
heard again or Asterisk has cleared it. Asterisk alone clears it up to a second after `rtp_timeout`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from bridge.asterisk.errors import ActionError
from bridge.asterisk.link_state import AmiSettings
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.snapshot import take_snapshot
from bridge.asterisk.stillness import Heard, Stillness
from bridge.asterisk.watch import AT_ONCE, packets_of
from bridge.wire.ami import Message

POLL_S = 0.5
STILL_POLLS = 3
"""1.5 s: the daemon acts after 0.8 to 1.2 s."""
SNAPSHOT_S = 5.0
"""How often what events told is compared with what is there."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """One channel in a bridge. `case`: the citizen's id in this conversation."""

    unique: str
    channel: str
    case: str


class Bridges:
    """Who is in which bridge, as events and snapshots tell. Pure."""

    def __init__(self) -> None:
        self._bridges: dict[str, dict[str, Member]] = {}
        self.on_hold: set[str] = set()
        """Channels held by a telephone's own key: they may be silent."""

    def replace(self, members: Iterator[tuple[str, Member]]) -> None:
        """From a snapshot: bridge and member."""
        self._bridges = {}
        for bridge, member in members:
            self._bridges.setdefault(bridge, {})[member.unique] = member

    def event(self, event: Message) -> None:
        """Take in one event."""
        unique, bridge = event.get("Uniqueid"), event.get("BridgeUniqueid")
        match event.name:
            case "BridgeEnter":
                member = Member(unique, event.get("Channel"), event.variables.get("CASE", ""))
                self._bridges.setdefault(bridge, {})[unique] = member
            case "BridgeLeave":
                self._bridges.get(bridge, {}).pop(unique, None)
            case "BridgeDestroy":
                self._bridges.pop(bridge, None)
            case "Hold":
                self.on_hold.add(event.get("Channel"))
            case "Unhold" | "Hangup":
                self.on_hold.discard(event.get("Channel"))

    def listened(self) -> Iterator[tuple[Member, Member]]:
        """Citizens alone with one other party that is not on hold, and that party."""
        for members in self._bridges.values():
            if len(members) != 2:
                continue
            citizen, other = sorted(members.values(), key=lambda one: one.unique != one.case)
            if citizen.unique == citizen.case != other.unique and other.channel not in self.on_hold:
                yield citizen, other


class Standby:
    """`run` until `stop`; `beat` is called for each round that was made."""

    def __init__(self, settings: AmiSettings, *, beat: Callable[[], object]) -> None:
        self._bridges = Bridges()
        self._stillness = Stillness(STILL_POLLS, unproved=False)
        self._waits: dict[str, Member] = {}
        """Telephones that were silent, until they are heard again or gone."""
        self._marked: list[Member] = []
        """Citizens marked as held in the last round; the plan takes that mark off at once."""
        self._look_at = 0.0
        self._beat = beat
        self._link = AmiLink(
            settings,
            rng=random.Random(),  # noqa: S311  jitter of a back-off
            on_event=self._event,
            on_up=lambda _: self._begin(),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Raises as `AmiLink.run`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._link.run(stop), name="ami")
            rounds = tasks.create_task(self._rounds(), name="silent telephones")
            await stop.wait()
            rounds.cancel()

    def _begin(self) -> None:
        self._look_at = 0.0

    def _event(self, event: Message) -> None:
        self._bridges.event(event)
        if event.name == "Hangup":
            self._waits.pop(event.get("Uniqueid"), None)

    async def _rounds(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            if self._link.state.usable:
                if began >= self._look_at:
                    await self._snapshot()
                    self._look_at = loop.time() + SNAPSHOT_S
                await self._round()
            self._beat()
            await asyncio.sleep(max(0.05, POLL_S - (loop.time() - began)))

    async def _snapshot(self) -> None:
        try:
            channels = await take_snapshot(self._link)
        except ActionError as error:
            _log.warning("standby.no_snapshot", reason=str(error))
            return
        self._bridges.replace(
            (one.bridge, Member(one.unique, one.name, one.case)) for one in channels if one.bridge
        )
        there = {one.unique for one in channels}
        self._waits = {unique: one for unique, one in self._waits.items() if unique in there}

    async def _round(self) -> None:
        marked, self._marked = self._marked, []
        for citizen in marked:
            await self._unmark(citizen)
        due = [*self._bridges.listened()]
        self._stillness.keep({*self._waits, *(other.unique for _, other in due)})
        waits = [one for one in self._waits.values() if one not in (other for _, other in due)]
        counts = [self._count(citizen, other) for citizen, other in due]
        counts += [self._count(None, other) for other in waits]
        for start in range(0, len(counts), AT_ONCE):
            await asyncio.gather(*counts[start : start + AT_ONCE])

    async def _count(self, citizen: Member | None, other: Member) -> None:
        packets = await packets_of(self._link, other.channel)
        if packets is None:
            return
        heard = self._stillness.counted(other.unique, packets)
        try:
            if heard is Heard.STILL and citizen is not None:
                await self._hold(citizen, other)
            elif heard in (Heard.BACK, Heard.MOVES) and other.unique in self._waits:
                del self._waits[other.unique]
                _log.info("standby.heard_again", case=other.case, channel=other.channel)
                if citizen is None:
                    await self._redirect(other.channel, "join-case")
        except ActionError as error:
            _log.warning("standby.not_done", channel=other.channel, reason=str(error))

    async def _hold(self, citizen: Member, other: Member) -> None:
        """As `acts` carries out the daemon's `Hold`."""
        if (citizen, other) not in self._bridges.listened():
            return  # somebody has acted meanwhile
        _log.warning("standby.silent", case=citizen.case, channel=other.channel)
        self._waits[other.unique] = other
        self._marked.append(citizen)
        for name, value in (("HOLDER", other.channel), ("HELD", "1")):
            variable = {"Channel": citizen.channel, "Variable": f"SHARED({name})", "Value": value}
            await self._link.call("Setvar", variable)
        await self._redirect(other.channel, "seat-waits")

    async def _unmark(self, citizen: Member) -> None:
        """The daemon may have come first: then nobody has taken the mark, and a later goodbye would
        be taken for a hold."""
        held = {"Channel": citizen.channel, "Variable": "SHARED(HELD)"}
        try:
            if (await self._link.call("Getvar", held)).get("Value") == "1":
                await self._link.call("Setvar", {**held, "Value": ""})
        except ActionError as error:
            _log.warning("standby.not_unmarked", channel=citizen.channel, reason=str(error))

    async def _redirect(self, channel: str, context: str) -> None:
        where = {"Channel": channel, "Context": context, "Exten": "s", "Priority": "1"}
        await self._link.call("Redirect", where)
