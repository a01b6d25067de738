"""A switch that behaves as Asterisk with our dialplan does, as far as events tell.

It simulates the switch, nothing of ours: acts go in as flows send them, things seen come out one
turn of the loop later, in the order in which Asterisk reports them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from bridge.domain.acts import (
    Act,
    Bring,
    Clear,
    DialLeader,
    DialSeat,
    DialThird,
    Hold,
    HoldThird,
    Mute,
    Private,
)
from bridge.domain.agent import AgentAct
from bridge.domain.call import Role
from bridge.domain.conversation import E
from bridge.domain.seen import (
    Accepted,
    Answered,
    AnySeen,
    Arrived,
    Born,
    Entered,
    Exited,
    Gone,
    Noted,
    Rang,
)
from bridge.flows.calls import Calls
from bridge.flows.ports import ActRefused, ActUnknown


@dataclass(slots=True)
class _Line:
    """One channel."""

    leg: str
    channel: str
    call: str
    role: Role
    bridge: str | None = None


class SimulatedSwitch:
    """`behaviour[number]`: accept (at once), ring (until told), busy, refused, unknown."""

    def __init__(self) -> None:
        self.calls: Calls
        self.behaviour: dict[str, str] = {}
        self.acts: list[Act] = []
        self.agents: list[AgentAct] = []
        self._lines: dict[str, _Line] = {}
        self._ids = count(1)

    # What people do

    def citizen_calls(self, number: str = "13800138000") -> str:
        """A citizen dials 110; gives the call's id."""
        ident = f"1732421234.{next(self._ids)}"
        channel = f"PJSIP/trunk-{ident}"
        self._lines[ident] = _Line(ident, channel, ident, Role.CITIZEN)
        self._tell(Arrived(call=ident, at=_now(), channel=channel, number=number, entry="110"))
        return ident

    def seat_rings(self, call: str, seat: str) -> str:
        """The queue offers the call to a seat; gives the seat's leg."""
        leg = f"seat-leg-{next(self._ids)}"
        self._born(leg, call, Role.SEAT, f"seat-{seat}", seat)
        self._tell(Rang(call=call, at=_now(), leg=leg))
        return leg

    def answers(self, call: str, leg: str) -> None:
        """A seat's telephone answers the queue: citizen and seat talk."""
        self._tell(Answered(call=call, at=_now(), leg=leg))
        bridge = f"bridge-{call}"
        self._enter(self._lines[call], bridge)
        self._enter(self._lines[leg], bridge)

    def accepts(self, leg: str) -> None:
        """A person at a ringing third answers and presses 1."""
        line = self._lines[leg]
        self._tell(Answered(call=line.call, at=_now(), leg=leg))
        self._tell(Accepted(call=line.call, at=_now(), leg=leg))
        self._enter(line, f"bridge-{line.call}")

    def hangs_up(self, leg: str, cause: int = 16) -> None:
        """Somebody puts the handset down."""
        line = self._lines.pop(leg)
        self._leave(line)
        self._tell(Gone(call=line.call, at=_now(), leg=leg, cause=cause))
        others = [other for other in self._lines.values() if other.call == line.call]
        if line.role is Role.CITIZEN:
            for other in others:
                self.hangs_up(other.leg)
        elif [other.role for other in others] == [Role.CITIZEN] and not others[0].bridge:
            self._tell(Noted(call=line.call, at=_now(), what=E.GOODBYE))
            self.hangs_up(line.call)

    # The port

    async def carry_out(self, act: Act) -> None:
        """Do one act, as `flows.ports.Switch` asks."""
        await asyncio.sleep(0)
        self.acts.append(act)
        if isinstance(act, DialThird):
            self._dial_third(act)
        elif isinstance(act, DialSeat):
            self._dialled(act.leg, act.call, Role.SEAT, f"seat-{act.seat}", act.seat)
            self.accepts(act.leg)
        elif isinstance(act, DialLeader):
            self._dialled(act.leg, act.call, Role.LEADER, f"leader-{act.seat}", act.seat)
            self._tell(Answered(call=act.call, at=_now(), leg=act.leg))
            self._enter(self._lines[act.leg], f"spy-{act.leg}" if act.spied else _room(act.call))
        elif isinstance(act, Clear):
            if act.leg in self._lines:
                self.hangs_up(act.leg, act.cause)
        elif isinstance(act, Hold):
            self._hold(act)
        elif isinstance(act, Bring):
            self._bring(act)
        elif isinstance(act, HoldThird):
            self._hold_third(act)
        elif isinstance(act, Private):
            self._private(act.call, act.third, act.seat)
        elif isinstance(act, Mute):
            assert act.leg in self._lines

    async def agent(self, act: AgentAct) -> None:
        """The queue is told about a seat."""
        self.agents.append(act)

    def _dial_third(self, act: DialThird) -> None:
        behaviour = self.behaviour.get(act.target.id, "accept")
        if behaviour == "refused":
            raise ActRefused("switch-refused", "Originate: no such endpoint")
        if behaviour == "unknown":
            raise ActUnknown("no answer to Originate in time")
        role, name = act.target.role, act.target.name
        self._dialled(act.leg, act.call, role, name, act.target.id, act.handoff)
        if behaviour == "busy":
            self.hangs_up(act.leg, 17)
        elif behaviour == "accept" and act.private_with:
            self._tell(Answered(call=act.call, at=_now(), leg=act.leg))
            self._tell(Accepted(call=act.call, at=_now(), leg=act.leg))
            self._private(act.call, self._lines[act.leg].channel, act.private_with)
        elif behaviour == "accept":
            self.accepts(act.leg)

    def _hold(self, act: Hold) -> None:
        holder, held = self._by_channel(act.holder), self._by_channel(act.held)
        self._leave(holder)
        self._leave(held)
        self._tell(Noted(call=act.call, at=_now(), what=E.CITIZEN_HELD, leg=held.leg))
        self._tell(Noted(call=act.call, at=_now(), what=E.SEAT_WAITS, leg=holder.leg))

    def _bring(self, act: Bring) -> None:
        """Who is left behind in a private conversation follows, as the dialplan has it."""
        line = self._by_channel(act.channel)
        private = [o for o in self._lines.values() if o.bridge == f"private-{act.call}"]
        for leg in (line, self._lines[act.call], *(private if line in private else ())):
            self._enter(leg, _room(act.call))

    def _hold_third(self, act: HoldThird) -> None:
        third, seat = self._by_channel(act.third), self._by_channel(act.seat)
        self._leave(third)
        self._tell(Noted(call=act.call, at=_now(), what=E.PARTY_HELD, leg=third.leg))
        self._enter(seat, _room(act.call))
        self._enter(self._lines[act.call], _room(act.call))

    def _private(self, call: str, third: str, seat: str) -> None:
        for channel in (seat, third):
            self._enter(self._by_channel(channel), f"private-{call}")

    # What is reported

    def _dialled(
        self, leg: str, call: str, role: Role, name: str, number: str, handoff: str | None = None
    ) -> None:
        self._born(leg, call, role, name, number, handoff)
        self._tell(Rang(call=call, at=_now(), leg=leg))

    def _born(
        self, leg: str, call: str, role: Role, name: str, number: str, handoff: str | None = None
    ) -> None:
        line = self._lines[leg] = _Line(leg, f"PJSIP/{number}-{leg}", call, role)
        self._tell(
            Born(
                call=call,
                at=_now(),
                leg=leg,
                channel=line.channel,
                role=role,
                name=name,
                number=number,
                handoff=handoff,
            )
        )

    def _enter(self, line: _Line, bridge: str) -> None:
        if line.bridge == bridge:
            return
        self._leave(line)
        line.bridge = bridge
        self._tell(Entered(call=line.call, at=_now(), leg=line.leg, bridge=bridge))

    def _leave(self, line: _Line) -> None:
        """A bridge in which one would be left dissolves, as Asterisk's do."""
        bridge, line.bridge = line.bridge, None
        if bridge is None:
            return
        self._tell(Exited(call=line.call, at=_now(), leg=line.leg, bridge=bridge))
        left = [other for other in self._lines.values() if other.bridge == bridge]
        if len(left) == 1:
            self._leave(left[0])

    def _by_channel(self, channel: str) -> _Line:
        return next(line for line in self._lines.values() if line.channel == channel)

    def _tell(self, seen: AnySeen) -> None:
        asyncio.get_running_loop().call_soon(self.calls.see, seen)


def _room(call: str) -> str:
    return f"bridge-{call}"


def _now() -> datetime:
    return datetime.now(UTC)
