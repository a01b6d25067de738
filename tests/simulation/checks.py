"""What must hold: at every step, at rest, and when everything is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bridge.domain.call import Book, Call, as_json, call_doc
from bridge.domain.conversation import S
from bridge.domain.journal import Entry, Fact, body
from bridge.domain.reconcile import Verdict
from bridge.flows.ports import Table
from bridge.flows.rows import replay
from tests.simulation.daemon import Daemon
from tests.simulation.reckoning import whole
from tests.simulation.store import Plain, Tables, plain
from tests.simulation.switch import Chan

if TYPE_CHECKING:
    from tests.simulation.world import World

Look = Callable[[Daemon], Iterator[str]]


class Checks:
    """Watches one run and tells the world what is broken."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.shown: dict[int, Entry] = {}
        """Everything that anybody was ever shown."""
        self._last: dict[int, int] = {}
        self._reports: list[str] = []

    # At every step

    def published(self, daemon: Daemon, entries: Sequence[Entry]) -> None:
        """The desk is about to be shown these: they must be durable, in order, each once."""
        journal = self.world.disk.synced.journal
        for entry in entries:
            self.world.trace(f"shown {entry.seq} {entry.fact.kind} {entry.fact.subject or ''}")
            if entry.seq > len(journal) or journal[entry.seq - 1].hash != entry.hash:
                self._fail(f"entry {entry.seq} {entry.fact.kind} is shown before it is synced")
            last = self._last.get(daemon.life)
            if last is not None and entry.seq != last + 1:
                self._fail(f"entry {entry.seq} is shown after {last}: order or a hole")
            self._last[daemon.life] = entry.seq
            self.shown[entry.seq] = entry

    def restored(self, entries: Sequence[Entry]) -> None:
        """A new life is about to show what an earlier one left."""
        journal = self.world.disk.synced.journal
        for entry in entries:
            if entry.seq > len(journal) or journal[entry.seq - 1].hash != entry.hash:
                self._fail(f"entry {entry.seq} {entry.fact.kind} is shown again and not synced")

    def answered(self, key: str, code: str) -> None:
        """A person was told that it is accepted: it must be durable."""
        if code in ("200", "202") and key not in self.world.disk.synced.answers:
            self._fail(f"request {key} was accepted and is not durable")

    def reported(self, key: str) -> None:
        """A report was stored, so that it will be sent."""
        if key not in self.world.disk.synced.outbox:
            self._fail(f"report {key} was accepted and is not durable")
        self._reports.append(key)

    def life_over(self, daemon: Daemon) -> None:
        """A daemon was killed."""
        self._alarms(daemon)

    def _alarms(self, daemon: Daemon) -> None:
        for words in daemon.alarms:
            if words.startswith("handler_failed"):
                self._fail(f"an event's handler failed: {words}")

    def _fail(self, words: str) -> None:
        self.world.fail(words)

    # Afterwards: each look gives what it finds broken

    def at_rest(self) -> list[str]:
        """All faults are healed and nobody does anything: the daemon knows what is true."""
        return self._broken(self._reckoned, self._truth, self._agents)

    def at_the_end(self) -> list[str]:
        """Every call is over: every call and handoff has its end, every report was taken."""
        return self._broken(self._reckoned, self._none_waits, self._all_over, self._everything_told)

    def _broken(self, *looks: Look) -> list[str]:
        daemon = self.world.daemon
        if daemon is None or not daemon.ready or not daemon.link.state.usable:
            return ["the daemon has not come back"]
        self._alarms(daemon)
        for look in (self._nobody_asks, self._acts_once, self._citizens, *looks, self._durable):
            found = list(look(daemon))
            if found:
                return found
        return []

    def _nobody_asks(self, _: Daemon) -> Iterator[str]:
        if self.world.people.asking:
            yield f"{self.world.people.asking} requests have no end"

    def _acts_once(self, _: Daemon) -> Iterator[str]:
        """No voice act twice: a handoff's third is called once by each of its two ways."""
        dialled: set[tuple[str, str]] = set()
        for one in self.world.switch.dialled:
            if one.handoff and (one.handoff, one.dial) in dialled:
                yield f"handoff {one.handoff} was dialled twice by {one.dial}"
            dialled.add((one.handoff, one.dial))
        for words in self.world.switch.doubly:
            yield f"two thirds were called at once: {words}"
        keys: dict[object, int] = {}
        for entry in self.world.disk.synced.journal:
            if entry.fact.kind == "call.service":
                keys[entry.fact.data["key"]] = keys.get(entry.fact.data["key"], 0) + 1
        for key, times in keys.items():
            if times > 1:
                yield f"request {key} was carried out {times} times"

    def _citizens(self, _: Daemon) -> Iterator[str]:
        """A citizen's call ends by the citizen, by a goodbye, by the desk's word, or Asterisk."""
        for case, (by, cause) in self.world.switch.ends.items():
            if by in ("citizen", "asterisk", "plan"):
                continue
            if by == "daemon" and case in self.world.people.clearing:
                continue
            yield f"citizen {case} was dropped by {by} with cause {cause}"

    def _all_over(self, daemon: Daemon) -> Iterator[str]:
        for call in daemon.view.book.calls.values():
            if call.live or any(leg.live for leg in call.legs.values()):
                yield f"call {call.id} is over and shown as {call.state.value}"
            for handoff in call.handoffs.values():
                if handoff.outcome is None:
                    yield f"handoff {handoff.id} has no end: {handoff.state.value}"
        if daemon.room.book.calls:
            yield f"calls stay in memory: {list(daemon.room.book.calls)}"

    def _reckoned(self, daemon: Daemon) -> Iterator[str]:
        """Calls that came in = delivered + explained, and the daemon's own running check says so;
        where it is not so, that has an alarm. Where the switch told nothing though the link was up,
        who spoke with a citizen and who hung up may be unknown, and is alarmed of."""
        sum_ = whole(self.world.switch, self.world.disk.synced)
        if sum_.came_in != len(self.world.arrived):
            yield f"{len(self.world.arrived)} calls came in, the switch tells of {sum_.came_in}"
        for one in sum_.differences:
            silent = "" if daemon.differ else ", and no alarm"
            if self.world.counts.get("deaf") and one.verdict in _UNHEARD and not silent:
                continue
            yield f"reckoning: {one}{silent}"
        if sum_.is_exact and daemon.differ:
            yield f"reckoning: all agrees, and the alarm stands: {daemon.differ}"

    def _none_waits(self, _: Daemon) -> Iterator[str]:
        sum_ = whole(self.world.switch, self.world.disk.synced)
        if sum_.waiting:
            yield f"reckoning: {sum_.waiting} calls are neither delivered nor explained"

    # The switch's truth

    def _truth(self, daemon: Daemon) -> Iterator[str]:
        cases: dict[str, dict[str, Chan]] = {}
        for chan in self.world.switch.channels.values():
            if chan.case:
                cases.setdefault(chan.case, {})[chan.unique] = chan
        for case, there in cases.items():
            call = daemon.room.book.calls.get(case)
            if case not in there:
                continue  # legs whose citizen has just gone
            if call is None:
                yield f"call {case} is on the switch and not known"
                continue
            yield from self._call(call, there)
        for call in daemon.room.book.calls.values():
            if call.live and call.id not in cases:
                yield f"call {call.id} is gone and believed to be {call.state.value}"

    def _call(self, call: Call, there: dict[str, Chan]) -> Iterator[str]:
        for leg in call.legs.values():
            if leg.live and leg.id not in there:
                yield f"leg {leg.id} ({leg.name}) of {call.id} is gone and believed alive"
        for unique, chan in there.items():
            leg_ = call.legs.get(unique)
            if leg_ is None or not leg_.live:
                yield f"leg {unique} ({chan.name}) of {call.id} lives and is not known"
                continue
            bridge = chan.bridge.id if chan.bridge else None
            if leg_.bridge != bridge:
                yield f"leg {unique} is in {bridge}, believed in {leg_.bridge}"
        citizen = there[call.id]
        others = len(citizen.bridge.members) - 1 if citizen.bridge else 0
        state = call.state
        if others >= 2:
            fits = state is S.CONFERENCED
        elif others == 1:
            fits = state in (S.TALKING, S.ALTERNATED)
        else:
            fits = state in _ALONE.get(citizen.context, set(S)) and state not in _WITH_OTHERS
        if not fits:
            yield (f"call {call.id}: {others} others in {citizen.context}, believed {state.value}")

    def _agents(self, daemon: Daemon) -> Iterator[str]:
        members = self.world.switch.members
        for seat in daemon.room.book.seats.values():
            member = members.get(seat.id)
            if seat.state == "loggedOff":
                if member is not None:
                    yield f"seat {seat.id} is logged off and in the queue"
                continue
            if not seat.agent:
                continue
            if member is None:
                yield f"seat {seat.id} is {seat.state} and not in the queue"
            elif seat.state in _PAUSED and member.paused is not _PAUSED[seat.state]:
                yield f"seat {seat.id} is {seat.state}, in the queue paused={member.paused}"

    # Store, memory and screen tell the same

    def _durable(self, daemon: Daemon) -> Iterator[str]:
        disk = self.world.disk
        if disk.log and not daemon.store.busy:
            yield f"{len(disk.log)} writes wait for a sync at rest"
        if daemon.recorder.waiting > 1 or daemon.recorder.trouble:
            yield f"{daemon.recorder.waiting} wait: {daemon.recorder.trouble}"
        for seq, entry in self.shown.items():
            if seq > len(disk.synced.journal) or disk.synced.journal[seq - 1].hash != entry.hash:
                yield f"entry {seq} {entry.fact.kind} was shown and is lost"
        seen: set[str] = set()
        for entry in disk.synced.journal:
            if entry.fact.kind not in _ONCE:
                continue
            text = body(entry.fact)
            if text in seen:
                yield f"entry {entry.seq} {entry.fact.kind} is in the journal twice"
            seen.add(text)
        yield from self._books(daemon, disk.synced)

    def _books(self, daemon: Daemon, tables: Tables) -> Iterator[str]:
        replayed = {(row.table, row.id): plain(row) for row in replay(_facts(tables))}
        for key, row in replayed.items():
            stored = tables.rows.get(key)
            if stored is None:
                yield f"{key} follows from the journal and has no row"
            elif (stored.state, stored.doc) != (row[2], row[3]):
                what = _difference(stored.doc, row[3])
                yield f"row {key} is not what the journal says: {what}"
        for name, book in (("believed", daemon.room.book), ("shown", daemon.view.book)):
            yield from self._book(name, book, replayed)

    def _book(
        self, name: str, book: Book, replayed: Mapping[tuple[Table, str], Plain]
    ) -> Iterator[str]:
        for call in book.calls.values():
            doc = call_doc(call)
            doc["legs"] = [leg.id for leg in call.legs.values()]
            doc["handoffs"] = [handoff.id for handoff in call.handoffs.values()]
            row = replayed.get(("call", call.id))
            if row is None:
                yield f"call {call.id} is {name} and not in the journal"
            elif row[3] != doc:
                yield f"call {call.id} {name} differs: {_difference(doc, row[3])}"
            for handoff in call.handoffs.values():
                found = replayed.get(("handoff", handoff.id))
                if found is None or found[3] != as_json(handoff):
                    yield f"handoff {handoff.id} {name} as {handoff.state}, not so stored"
        for seat in book.seats.values():
            row = replayed.get(("seat", seat.id))
            if row is None or row[3] != as_json(seat):
                yield f"seat {seat.id} {name} as {seat.state} and not so in the journal"

    def _everything_told(self, _: Daemon) -> Iterator[str]:
        """Whoever called is in the journal with an end."""
        tables = self.world.disk.synced
        ends = {e.fact.call for e in tables.journal if e.fact.kind == "call.cleared"}
        for case in self.world.arrived:
            if case in self.world.switch.ends and case not in ends:
                yield f"citizen {case} called and the journal tells no end"
        closed = {e.fact.call for e in tables.journal if e.fact.kind == "recording.closed"}
        for call in sorted(call for call in ends - closed if call):
            yield f"the recording of {call} was never closed"
        taken = self.world.platform.taken
        for key in (*self._reports, *tables.outbox):
            if key not in taken:
                yield f"report {key} never came to the platform"
        for key, out in tables.outbox.items():
            if not out.done:
                yield f"report {key} is not noted as done"


_UNHEARD = (Verdict.NOT_TOLD, Verdict.DROPPED)
_ONCE = frozenset(
    {
        "call.offered",
        "call.originated",
        "call.service",
        "call.connectionCleared",
        "call.cleared",
        "handoff.requested",
        "handoff.ended",
    }
)
"""Facts that cannot come about twice in one instant."""
_WITH_OTHERS = {S.TALKING, S.CONFERENCED}
_ALONE = {
    "police110": {S.QUEUED, S.ALERTING},
    "citizen-queue": {S.QUEUED, S.ALERTING, S.PARTED},
    "citizen-alone": {S.QUEUED, S.ALERTING},
    "citizen-held": {S.HELD, S.CONSULTING, S.ALERTING},
    "citizen-waits": {S.WAITING, S.ALERTING},
    "goodbye": {S.ENDING},
}
_PAUSED = {"ready": False, "notReady": True, "workingAfterCall": True}


def _facts(tables: Tables) -> list[Fact]:
    return [entry.fact for entry in tables.journal]


def _difference(one: object, other: object) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one:
            if one[key] != other.get(key):
                return f"{key}: {one[key]!r} / {other.get(key)!r}"
    return f"{one!r} / {other!r}"
