"""Asterisk as far as our plans, its manager interface and its event log show it.

Channels, bridges, the queue and the actions that `bridge/asterisk` sends; the dialplan is in
`plan.py`. It simulates the switch and nothing of ours: the daemon speaks AMI to it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal

from bridge.asterisk.cel import Position, Row
from tests.simulation.chance import Chance
from tests.simulation.loop import START, SimLoop, in_life
from tests.simulation.wire import Exchange, Headers, Wire

WORLD = in_life(0)
Kind = Literal["citizen", "seat", "third", "leader"]
After = Literal["plan", "hangup", "met"]
STATES = {"Down": "0", "Ring": "4", "Ringing": "5", "Up": "6"}
SHOWN = ("CASE", "LEG", "HANDOFF")


class Ended(Exception):
    """The plan hangs its own channel up."""

    def __init__(self, cause: int = 16) -> None:
        self.cause = cause


@dataclass(slots=True, eq=False)
class Bridge:
    """Who talks with whom."""

    id: str
    members: list[Chan] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Chan:
    """One channel."""

    unique: str
    name: str
    number: str
    kind: Kind
    variables: dict[str, str]
    answered: asyncio.Future[bool]
    ended: asyncio.Future[None]
    linked: str = ""
    shared: dict[str, str] = field(default_factory=dict)
    state: str = "Down"
    bridge: Bridge | None = None
    context: str = ""
    after: After = "plan"
    out: asyncio.Future[None] | None = None
    task: asyncio.Task[None] | None = None
    gone: bool = False
    rung_up_by: str = ""

    @property
    def case(self) -> str:
        return self.variables.get("CASE", "")


@dataclass(frozen=True, slots=True)
class Dialled:
    """A third or a seat that was called by an act."""

    leg: str
    call: str
    handoff: str
    dial: str
    by: str
    at: float


@dataclass(slots=True)
class Member:
    """A seat in the queue."""

    seat: str
    paused: bool
    rung_at: float = 0.0


class SimSwitch:
    """One Asterisk. `plan(channel, context, exten)` is its dialplan; `rings` tells people."""

    def __init__(self, loop: SimLoop, chance: Chance, trace: Callable[[str], None]) -> None:
        self.loop = loop
        self.chance = chance
        self.trace = trace
        self.exchange = Exchange(self, loop, chance)
        self.plan: Callable[[Chan, str, str], Coroutine[Any, Any, None]]
        self.rings: Callable[[Chan], None]
        self.channels: dict[str, Chan] = {}
        self.globals: dict[str, str] = {}
        self.members: dict[str, Member] = {}
        self.cel: list[Row] = []
        self.dialled: list[Dialled] = []
        self.doubly: list[str] = []
        """Thirds called while another one was being called."""
        self.ends: dict[str, tuple[str, int]] = {}
        """How each citizen's channel ended: who did it, cause."""
        self.started = 0
        self.daemon_knows: Callable[[str], bool] = lambda leg: True
        self._by_leg: dict[str, Dialled] = {}
        self._ids = count(1)

    # Time, events, the log

    def now(self) -> float:
        return START + self.loop.time()

    def at(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    def event(self, name: str, headers: Headers, chan: Chan | None = None) -> None:
        """Tell everybody who is signed in."""
        lines = [f"Event: {name}", f"Timestamp: {self.now():.6f}"]
        lines += [f"{key}: {value}" for key, value in headers]
        if chan is not None:
            lines += [
                f"Channel: {chan.name}",
                f"ChannelState: {STATES[chan.state]}",
                f"ChannelStateDesc: {chan.state}",
                f"Uniqueid: {chan.unique}",
                f"Linkedid: {chan.linked}",
            ]
            lines += [f"ChanVariable: {v}={chan.variables.get(v, '')}" for v in SHOWN]
        data = ("\r\n".join(lines) + "\r\n\r\n").encode()
        for wire in self.exchange.open_wires():
            if wire.signed_in and wire.deaf_until <= self.loop.time():
                wire.send(data)
        if chan is not None:
            self.chance.maybe("event.sent")

    def user_event(self, name: str, chan: Chan, **headers: str) -> None:
        """`UserEvent()` of the plan."""
        self.trace(f"plan {name} {chan.name} {headers}")
        told = [("UserEvent", name), ("Case", chan.case), *headers.items()]
        self.event("UserEvent", told, chan)

    def log(self, kind: str, chan: Chan, user: str = "", **extra: str) -> None:
        """A row of the event log (CEL)."""
        place = ("from-trunk", "110") if kind == "CHAN_START" else ("", "")
        words = json.dumps(extra)
        row = Row(kind, self.at(), chan.unique, chan.linked, chan.name, user, words, *place)
        self.cel.append(row)

    def log_user(self, name: str, chan: Chan, *words: str) -> None:
        """`CELGenUserEvent()` of the plan."""
        self.log("USER_DEFINED", chan, name, extra="/".join((chan.case, *words)))

    async def read_cel(self, _: Path, since: Position | None) -> tuple[list[Row], Position | None]:
        """Rows after `since`, as the daemon reads the file."""
        slow = self.chance.random.random() < 0.2
        await asyncio.sleep(self.chance.delay(1e-4, 2.0 if slow else 5e-3))
        start = since.offset if since is not None else 0
        return self.cel[start:], Position(1, 1, len(self.cel))

    # Channels

    def new(self, kind: Kind, endpoint: str, unique: str = "", **variables: str) -> Chan:
        """A channel that exists and does nothing yet."""
        number = next(self._ids)
        made = Chan(
            unique or f"{int(self.now())}.{number}",
            f"PJSIP/{endpoint}-{number:08x}",
            endpoint,
            kind,
            variables,
            self.loop.create_future(),
            self.loop.create_future(),
        )
        made.linked = made.unique
        if kind == "citizen":
            self.log("CHAN_START", made)
        self.channels[made.name] = made
        return made

    def named(self, name: str) -> Chan | None:
        """By channel name or unique id."""
        found = self.channels.get(name)
        if found is not None:
            return found
        return next((chan for chan in self.channels.values() if chan.unique == name), None)

    def set_state(self, chan: Chan, state: str) -> None:
        chan.state = state
        self.event("Newstate", [], chan)
        if state == "Up":
            self.log("ANSWER", chan)

    def answer(self, chan: Chan) -> None:
        """Somebody lifts the handset."""
        if not chan.gone and not chan.answered.done():
            self.set_state(chan, "Up")
            if not chan.answered.done():
                chan.answered.set_result(True)

    def run(self, chan: Chan, context: str, exten: str = "s") -> None:
        """The channel goes on at this place of the plan."""
        if chan.task is not None:
            chan.task.cancel()
        chan.task = self.loop.create_task(self._run(chan, context, exten), context=in_life(0))

    async def _run(self, chan: Chan, context: str, exten: str) -> None:
        cause = 16
        try:
            await self.plan(chan, context, exten)
        except Ended as end:
            cause = end.cause
        chan.task = None
        self.hang_up(chan, cause, "plan")

    def hang_up(self, chan: Chan, cause: int, by: str) -> None:
        """The channel is cleared."""
        if chan.gone:
            return
        chan.gone = True
        self.channels.pop(chan.name, None)
        if chan.task is not None:
            chan.task.cancel()
        if chan.kind == "citizen":
            self.ends[chan.unique] = (by, cause)
        self.trace(f"hangup {chan.name} {cause} by {by}")
        self.leave(chan, cause)
        self.event("Hangup", [("Cause", str(cause))], chan)
        source = chan.name if by == "citizen" else ""
        self.log("HANGUP", chan, hangupcause=str(cause), hangupsource=source)
        for future in (chan.answered, chan.ended):
            if not future.done():
                future.set_result(None)  # type: ignore[arg-type]

    # Bridges

    def enter(self, chan: Chan, bridge: Bridge, after: After) -> None:
        """The channel joins a bridge; `after` is what becomes of it when it leaves."""
        if chan.bridge is not None:
            self.leave(chan, 0, moved=True)
        chan.bridge, chan.after = bridge, after
        chan.out = self.loop.create_future()
        bridge.members.append(chan)
        chan.linked = bridge.members[0].linked
        self.event("BridgeEnter", [("BridgeUniqueid", bridge.id)], chan)
        self.log("BRIDGE_ENTER", chan, bridge_id=bridge.id)

    def leave(self, chan: Chan, cause: int, *, moved: bool = False) -> None:
        """Out of the bridge. One alone does not stay; without the citizen everybody goes."""
        bridge = chan.bridge
        if bridge is None:
            return
        chan.bridge = None
        bridge.members.remove(chan)
        self.event("BridgeLeave", [("BridgeUniqueid", bridge.id)], chan)
        self.log("BRIDGE_EXIT", chan, bridge_id=bridge.id)
        rest = list(bridge.members)
        if len(rest) == 1 or (chan.gone and chan.kind == "citizen"):
            for other in rest:
                if cause:
                    other.variables["HANGUPCAUSE"] = str(cause)
                self.leave(other, cause)
        out, chan.out = chan.out, None
        if out is not None and not out.done():
            out.set_result(None)
        if not moved and not chan.gone:
            if chan.after == "hangup":
                self.hang_up(chan, 16, "bridge")
            elif chan.after == "met":
                self.run(chan, "citizen-met")

    def new_bridge(self) -> Bridge:
        return Bridge(f"bridge-{next(self._ids)}")

    # The manager interface

    def closed(self, wire: Wire) -> None:
        wire.signed_in = False

    def action(self, wire: Wire, headers: Headers) -> None:
        """One action arrived."""
        given = dict(reversed(headers))
        name, ident = given.get("Action", ""), given.get("ActionID", "")
        if not wire.signed_in and name != "Login":
            return
        if name not in ("Ping", "UserEvent", "Getvar"):
            target = given.get("Channel", given.get("Interface", ""))
            self.trace(f"action {name} {target} {given.get('Variable', '')[:40]}")
            self.chance.maybe(_place(name, "received"))
        known = getattr(self, f"_on_{name.lower()}", None)
        if known is None:
            answer: Headers | str = "Invalid/unknown command"
        else:
            answer = known(wire, given, headers)
        if name not in ("Ping", "UserEvent", "Getvar"):
            self.chance.maybe(_place(name, "done"))
        lines = (
            [("Response", "Error"), ("ActionID", ident), ("Message", answer)]
            if isinstance(answer, str)
            else [("Response", "Success"), ("ActionID", ident), *answer]
        )
        wire.send(_block(lines))
        if name == "Login":
            self.event("FullyBooted", [("Status", "Fully Booted")])
        if name in ("Status", "QueueStatus"):
            self.chance.maybe("snapshot.begun")
            self._list(wire, name, ident)

    def _on_login(self, wire: Wire, given: dict[str, str], _: Headers) -> Headers | str:
        if given.get("Secret") != "secret":
            return "Authentication failed"
        wire.signed_in = True
        return []

    def _on_ping(self, *_: object) -> Headers:
        return [("Ping", "Pong")]

    def _on_corestatus(self, *_: object) -> Headers:
        return [("CoreStartupDate", "2026-02-02"), ("CoreStartupTime", f"start-{self.started}")]

    def _on_userevent(self, wire: Wire, given: dict[str, str], _: Headers) -> Headers:
        told = [(k, v) for k, v in given.items() if k not in ("Action", "ActionID")]
        self.event("UserEvent", told)
        return []

    def _on_setvar(self, wire: Wire, given: dict[str, str], _: Headers) -> Headers | str:
        name, value = given["Variable"], given["Value"]
        if "Channel" not in given:
            self.globals[name] = value
            return []
        chan = self.channels.get(given["Channel"])
        if chan is None:
            return "No such channel"
        if name.startswith("SHARED("):
            chan.shared[name[7:-1]] = value
        else:
            chan.variables[name] = value
        return []

    def _on_getvar(self, wire: Wire, given: dict[str, str], _: Headers) -> Headers | str:
        chan = self.channels.get(given.get("Channel", ""))
        name = given["Variable"]
        if chan is None:
            return "No such channel"
        if name == "CHANNEL(rtcp,rxcount)":
            value = str(int(self.loop.time() * 50))
        elif name.startswith("SHARED("):
            value = chan.shared.get(name[7:-1], "")
        else:
            value = chan.variables.get(name, "")
        return [("Variable", name), ("Value", value)]

    def _on_status(self, *_: object) -> Headers:
        return [("EventList", "start")]

    def _on_queuestatus(self, *_: object) -> Headers:
        return [("EventList", "start")]

    def _list(self, wire: Wire, name: str, ident: str) -> None:
        items = [self._status(chan) for chan in self.channels.values()]
        if name == "QueueStatus":
            items = [
                [
                    ("Event", "QueueMember"),
                    ("Queue", "q110"),
                    ("StateInterface", f"PJSIP/{member.seat}"),
                    ("Location", f"PJSIP/{member.seat}"),
                    ("Paused", "1" if member.paused else "0"),
                ]
                for member in self.members.values()
            ]
        for item in items:
            wire.send(_block([item[0], ("ActionID", ident), *item[1:]]))
        wire.send(
            _block(
                [
                    ("Event", f"{name}Complete"),
                    ("ActionID", ident),
                    ("EventList", "Complete"),
                    ("ListItems", str(len(items))),
                ]
            )
        )

    @staticmethod
    def _status(chan: Chan) -> Headers:
        given = [("Variable", f"{k}={chan.variables.get(k, '')}") for k in _ASKED]
        return [
            ("Event", "Status"),
            ("Channel", chan.name),
            ("ChannelStateDesc", chan.state),
            ("Uniqueid", chan.unique),
            ("BridgeID", chan.bridge.id if chan.bridge else ""),
            ("Context", chan.context),
            ("Seconds", "0"),
            *given,
        ]

    def _on_hangup(self, wire: Wire, given: dict[str, str], _: Headers) -> Headers | str:
        chan = self.named(given["Channel"])
        if chan is None:
            return "No such channel"
        self.loop.call_later(
            1e-4, self.hang_up, chan, int(given.get("Cause", "16")), "daemon", context=WORLD
        )
        return []

    def _on_redirect(self, wire: Wire, given: dict[str, str], _: Headers) -> Headers | str:
        chan = self.channels.get(given["Channel"])
        if chan is None or chan.gone or chan.state != "Up":
            return "Channel not existent"
        self.leave(chan, 0, moved=True)
        context = given["Context"]
        self.run(chan, context, "talk" if given["Priority"] == "talk" else given["Exten"])
        return []

    def _on_originate(self, wire: Wire, given: dict[str, str], headers: Headers) -> Headers:
        variables = dict(
            value.lstrip("_").partition("=")[::2] for key, value in headers if key == "Variable"
        )
        self.originate(
            given["Channel"],
            given["ChannelId"],
            given["Context"],
            given["Exten"],
            int(given["Timeout"]) / 1000,
            variables,
            "daemon",
        )
        return []

    def originate(
        self,
        dial: str,
        unique: str,
        context: str,
        exten: str,
        timeout: float,
        variables: dict[str, str],
        by: str,
    ) -> None:
        """Call somebody; when answered, the leg runs the plan at `context`."""
        if self.named(unique) is not None:
            self.event("OriginateResponse", [("Response", "Failure"), ("Uniqueid", "<null>")])
            return
        work = self._originate(dial, unique, context, exten, timeout, variables, by)
        self.loop.create_task(work, context=in_life(0))

    async def _originate(
        self,
        dial: str,
        unique: str,
        context: str,
        exten: str,
        timeout: float,
        variables: dict[str, str],
        by: str,
    ) -> None:
        number = dial.removeprefix("PJSIP/").partition("@")[0]
        leg = variables.get("LEG", "")
        kind: Kind = (
            "seat" if leg.startswith("seat") else "leader" if leg.startswith("l") else "third"
        )
        handoff = variables.get("HANDOFF", "")
        if self._somebody_called(variables["CASE"], handoff, by):
            self.doubly.append(f"{variables['CASE']}: {number} by {by}")
        made = Dialled(unique, variables["CASE"], handoff, dial, by, self.loop.time())
        self.dialled.append(made)
        self._by_leg[unique] = made
        self.trace(f"dial {number} {unique} {handoff} by {by}")
        await asyncio.sleep(self.chance.delay(1e-4, 4e-3))
        chan = self.new(kind, number, unique, **variables)
        self.set_state(chan, "Ringing")
        self.rings(chan)
        await asyncio.wait([chan.answered], timeout=timeout)
        done = chan.answered.done() and bool(chan.answered.result())
        if not done:
            self.hang_up(chan, 0, "timeout")
        told = [("Response", "Success" if done else "Failure"), ("Reason", "4" if done else "3")]
        self.event("OriginateResponse", [*told, ("Uniqueid", unique)])
        if done and not chan.gone:
            self.run(chan, context, exten)

    def _somebody_called(self, case: str, handoff: str, by: str) -> bool:
        """A third is being called for this case already and has not accepted. A private
        consultation takes no lock: its seat waits and can press no key."""
        return bool(handoff) and any(
            chan.case == case and chan.kind == "third" and chan.context in _NOT_ACCEPTED
            for chan in self.channels.values()
            if "SEAT" not in chan.variables and not self._key_unseen(chan.unique, by)
        )

    def _key_unseen(self, leg: str, by: str) -> bool:
        """The daemon was told nothing of the key's own call: events were lost, and it has not
        found out yet. KEYED is over by then, so its lock cannot know either."""
        first = self._by_leg.get(leg)
        if first is None:
            return False
        late = self.loop.time() - first.at > 0.5
        return by == "daemon" and first.by == "key" and late and not self.daemon_knows(leg)

    # The queue

    def _on_queueadd(self, wire: Wire, given: dict[str, str], _: Headers) -> Headers | str:
        seat = given["Interface"].removeprefix("PJSIP/")
        if seat in self.members:
            return "Unable to add interface: Already there"
        self.members[seat] = Member(seat, given["Paused"] == "true")
        return []

    def _on_queueremove(self, wire: Wire, given: dict[str, str], _: Headers) -> Headers | str:
        seat = given["Interface"].removeprefix("PJSIP/")
        return [] if self.members.pop(seat, None) else "Unable to remove interface: Not there"

    def _on_queuepause(self, wire: Wire, given: dict[str, str], _: Headers) -> Headers | str:
        member = self.members.get(given["Interface"].removeprefix("PJSIP/"))
        if member is None:
            return "Interface not found"
        member.paused = given["Paused"] == "true"
        return []

    def free_member(self) -> Member | None:
        """The seat that waited longest and whose telephone is free."""
        free = [m for m in self.members.values() if not m.paused and not self.in_use(m.seat)]
        return min(free, key=lambda member: member.rung_at, default=None)

    def in_use(self, endpoint: str) -> bool:
        return any(chan.number == endpoint for chan in self.channels.values())

    # The end of it

    def die(self) -> None:
        """Asterisk is killed: every call is gone, nobody is told why."""
        self.trace("asterisk dies")
        for chan in list(self.channels.values()):
            chan.gone = True
            if chan.task is not None:
                chan.task.cancel()
            if chan.kind == "citizen":
                self.ends[chan.unique] = ("asterisk", 0)
            for future in (chan.answered, chan.ended):
                if not future.done():
                    future.set_result(None)  # type: ignore[arg-type]
        self.channels.clear()
        self.globals.clear()
        for wire in list(self.exchange.open_wires()):
            wire.cut("Asterisk died")
        self.started += 1


_NOT_ACCEPTED = ("", "leg-accepts")
_ASKED = ("CASE", "LEG", "HANDOFF", "ENTRY", "NUMBER", "CASE_BACK")


def _place(action: str, step: str) -> str:
    return f"{'originate' if action == 'Originate' else 'action'}.{step}"


def _block(lines: Headers) -> bytes:
    return ("\r\n".join(f"{key}: {value}" for key, value in lines) + "\r\n\r\n").encode()
