"""What people are shown: a fold of durable facts, and the numbered events that led there.

The store publishes what it has synced; nothing else changes this view, so nobody is ever shown a
thing that a crash could take back (guard rule 1). The live state that decides is `Calls.book`.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from bridge.domain.call import Book, Call, Seat, as_json, call_doc
from bridge.domain.decide import possible
from bridge.domain.journal import Entry, Fact, Json
from bridge.domain.observe import is_over
from bridge.domain.order_book import order_of
from bridge.flows.case_events import case_data
from bridge.flows.causes import Cause, Causes
from bridge.flows.cti_events import EPHEMERAL, call_data, kind_outside, seat_data
from bridge.flows.order_events import order_data, order_doc
from bridge.flows.peer_events import peer_data
from bridge.flows.ports import Row
from bridge.flows.room import restore
from bridge.flows.subscription import QUEUE, Event, Subscription

RING = 10_000
"""Events kept for clients that come back; older ones are answered with a snapshot."""
OVER_KEPT = 200
"""Calls that are over and can still be asked for; the oldest go first (the store has them all)."""
ALARMS = 200
"""Alarms shown at a time; above it the oldest is let go."""
VERSION = 1


class View:
    """The read model. `epoch` names this run of the daemon; `zone` is that of times in events."""

    def __init__(self, epoch: str, now: Callable[[], datetime], zone: tzinfo = UTC) -> None:
        self.book = Book()
        self.epoch = epoch
        self.now = now
        self.seq = 0
        self.links: dict[str, dict[str, Json]] = {}
        self.alarms: OrderedDict[str, dict[str, Json]] = OrderedDict()
        self.boards: dict[str, dict[str, Json]] = {}
        """The modem board of each fax gateway, as it was told last."""
        self._zone = zone
        self._ring: deque[Event] = deque(maxlen=RING)
        self._subscriptions: set[Subscription] = set()
        self._causes = Causes()
        self._docs: dict[str, dict[str, Json]] = {}
        self._talking: set[str] = set()
        self._over: OrderedDict[str, None] = OrderedDict()
        self._orders_over: OrderedDict[str, None] = OrderedDict()

    # Facts

    def restore(self, facts: Iterable[Fact], seats: Iterable[Row] = ()) -> None:
        """What earlier runs left: facts in order, rows of seats. It is shown, as no event."""
        for fact in facts:
            self.book.apply(fact)
            self._settle(fact.call)
        restore(self.book, (), seats)

    def publish(self, entries: Sequence[Entry]) -> None:
        """Facts that are durable now, in the order of the journal."""
        for entry in entries:
            self._one(entry.fact)

    def _one(self, fact: Fact) -> None:
        call = self.book.calls.get(fact.call or "")
        if call is None or fact.call is None:
            self._without_call(fact)
            return
        leg = call.legs.get(fact.subject or "")
        kind = kind_outside(fact, leg)
        known_leg = fact.kind == "call.originated" and leg is not None
        seats = seats_of(call) if call.seat is not None else None
        self.book.apply(fact)
        self._docs.pop(call.id, None)
        found = call_data(kind, call, fact)
        cause = self._causes.of(call, fact, found[0] if found else "")
        after = call.legs.get(fact.subject or "")
        if found is not None and not known_leg:
            self._emit(
                found[0],
                fact.at,
                found[1],
                case=call.case,
                call=call.id,
                leg=after.id if after else None,
                seat=after.seat if after else call.seat,
                seats=seats | seats_of(call) if seats is not None else None,
                cause=cause,
            )
        self._settle(call.id)

    def _without_call(self, fact: Fact) -> None:
        """The first fact of a call, or one about a seat."""
        shared = peer_data(fact) or case_data(fact)
        if shared is not None:
            self._emit(fact.kind, fact.at, shared, case=fact.case)
            return
        self.book.apply(fact)
        order = self.book.orders.orders.get(order_of(fact) or "")
        if order is not None:
            made = order_data(order, fact)
            if made is not None:
                self._emit(made[0], fact.at, made[1], case=order.case, seat=order.seat)
            self._settle_order(order.id)
            return
        call = self.book.calls.get(fact.call or "")
        if call is not None:
            found = call_data(fact.kind, call, fact)
            case, leg = call.case, call.id
        else:
            found, case, leg = seat_data(self.book, fact), None, None
        if found is not None:
            seat = None if call else fact.subject
            ident = call.id if call else None
            self._emit(found[0], fact.at, found[1], case=case, call=ident, leg=leg, seat=seat)

    def _settle(self, ident: str | None) -> None:
        """A call that is over stays for a while, among the last OVER_KEPT."""
        call = self.book.calls.get(ident or "")
        if call is None or not is_over(call) or call.id in self._over:
            return
        self._over[call.id] = None
        self._talking.difference_update(call.legs)
        self._causes.forget(call.id)
        while len(self._over) > OVER_KEPT:
            oldest, _ = self._over.popitem(last=False)
            self.book.forget(oldest)
            self._docs.pop(oldest, None)

    def _settle_order(self, ident: str) -> None:
        """An order that is over stays for a while, among the last OVER_KEPT."""
        orders = self.book.orders.orders
        if orders[ident].live or ident in self._orders_over:
            return
        self._orders_over[ident] = None
        while len(self._orders_over) > OVER_KEPT:
            oldest, _ = self._orders_over.popitem(last=False)
            orders.pop(oldest, None)

    # Events

    def ephemeral(
        self,
        type: str,
        data: Mapping[str, Json],
        *,
        call: str | None = None,
        leg: str | None = None,
    ) -> None:
        """An event about a call that is no fact, such as `leg.talking {on}`.

        Nothing is sent for a call or leg that is not known. ValueError for a type not of the list.
        """
        if type not in EPHEMERAL:
            raise ValueError(f"{type!r} is no event without a fact; use one of {EPHEMERAL}")
        leg = leg or (str(data["leg"]) if "leg" in data else None)
        known = self.book.calls.get(call or "")
        if known is None or (leg is not None and leg not in known.legs):
            return
        if type == "leg.talking" and leg is not None:
            (self._talking.add if data.get("on") else self._talking.discard)(leg)
        self._emit(
            type,
            self.now(),
            dict(data),
            case=known.case,
            call=known.id,
            leg=leg,
            seat=known.legs[leg].seat if leg else known.seat,
            seats=seats_of(known) if known.seat is not None else None,
        )

    def link(self, name: str, data: Mapping[str, Json]) -> None:
        """One of LINKS has changed; `data["state"]` is its state in its own words."""
        at, detail = self.now(), str(data["state"])
        state = {"up": "up", "stalled": "degraded", "degraded": "degraded"}.get(detail, "down")
        told: dict[str, Json] = {**data, "state": state, "detail": detail, "since": self._time(at)}
        self.links[name] = told
        self._emit(f"link.{name}", at, told)

    def alarm(self, name: str, words: str) -> None:
        """Something a person must look at; empty words: it is over."""
        at = self.now()
        told: dict[str, Json] = {"alarm": name, "words": words, "since": self._time(at)}
        if words:
            self.alarms[name] = told
            while len(self.alarms) > ALARMS:
                self.alarms.popitem(last=False)
            self._emit("alarm.raised", at, told)
        elif self.alarms.pop(name, None) is not None:
            self._emit("alarm.cleared", at, told)

    def board(self, gateway: str, data: Mapping[str, Json]) -> None:
        """The modems of a gateway have changed: what each does, what waits, why nothing is sent."""
        told: dict[str, Json] = {"gateway": gateway, **data}
        if self.boards.get(gateway) != told:
            self.boards[gateway] = told
            self._emit("fax.board", self.now(), told)

    def no_boards(self, gateways: Iterable[str]) -> None:
        """Nobody tells any more what the modems of these do."""
        for gateway in gateways:
            self.board(gateway, {"modems": [], "waiting": [], "paused": None})

    def _emit(
        self,
        type: str,
        at: datetime,
        data: dict[str, Json],
        *,
        case: str | None = None,
        call: str | None = None,
        leg: str | None = None,
        seat: str | None = None,
        seats: frozenset[str] | None = None,
        cause: Cause | None = None,
    ) -> None:
        self.seq += 1
        text = self._envelope(self.seq, type, at, data, (case, call, leg, seat), cause)
        command = cause.command if cause else None
        event = Event(self.seq, type, text, case, call, seat, seats, command)
        self._ring.append(event)
        for subscription in self._subscriptions:
            subscription.put(event)

    def _envelope(
        self,
        seq: int,
        type: str,
        at: datetime,
        data: dict[str, Json],
        about: tuple[str | None, str | None, str | None, str | None],
        cause: Cause | None,
    ) -> str:
        """Sheet 7.4, members in its order."""
        case, call, leg, seat = about
        why = {"command": cause.command, "code": cause.code} if cause else None
        return dumps(
            {
                "v": VERSION,
                "epoch": self.epoch,
                "seq": seq,
                "at": self._time(at),
                "type": type,
                "case": case,
                "call": call,
                "leg": leg,
                "seat": seat,
                "cause": why,
                "data": data,
            }
        )

    def heartbeat(self, seq: int) -> str:
        """The sign of life of one connection: it has been sent everything up to `seq`."""
        now = self.now()
        data: dict[str, Json] = {"now": self._time(now), "seq": seq}
        return self._envelope(seq, "heartbeat", now, data, (None, None, None, None), None)

    def subscribe(self, wants: Callable[[Event], bool], limit: int = QUEUE) -> Subscription:
        """Events from now on that `wants` accepts. Give it back with `unsubscribe`."""
        made = Subscription(wants, limit)
        self._subscriptions.add(made)
        return made

    def unsubscribe(self, subscription: Subscription) -> None:
        """No more events for this client."""
        self._subscriptions.discard(subscription)

    def since(self, epoch: str, seq: int) -> list[Event] | None:
        """Events after `seq`, or None where only a snapshot can tell what happened."""
        if epoch != self.epoch or seq > self.seq:
            return None
        missing = self.seq - seq
        if missing > len(self._ring):
            return None
        return list(self._ring)[len(self._ring) - missing :]

    # Snapshot

    def call(self, ident: str) -> dict[str, Json] | None:
        """One call as the desk sees it, with the services possible now; None if unknown."""
        call = self.book.calls.get(ident)
        if call is None:
            return None
        doc = self._docs.get(ident)
        if doc is None:
            may: list[Json] = list(possible(call))
            doc = {**call_doc(call), "possible": may}
            doc.pop("intent")
            doc.pop("recording")
            self._docs[ident] = doc
        return doc

    def calls(self, may_see: Callable[[Call], bool]) -> list[Json]:
        """Live calls, oldest first."""
        live = [call for call in self.book.calls.values() if call.live and may_see(call)]
        return [self.call(call.id) for call in live]

    def order(self, ident: str, *, code: bool = False) -> dict[str, Json] | None:
        """One order as the desk sees it; None where it is not among those at hand."""
        order = self.book.orders.orders.get(ident)
        return order_doc(order, code=code) if order is not None else None

    def seats(self, known: Iterable[str]) -> list[Json]:
        """Seats as their facts tell; one that nobody has logged on to yet is logged off, and one
        that is no longer known is shown while somebody sits there."""
        taken = (name for name, seat in self.book.seats.items() if seat.state != "loggedOff")
        names = dict.fromkeys([*known, *taken])
        return [self.seat(name) for name in names]

    def seat(self, name: str) -> Json:
        """One seat; logged off where nothing is known of it."""
        return as_json(self.book.seats.get(name) or Seat(name))

    def snapshot(
        self,
        may_see: Callable[[Call], bool] = lambda _: True,
        seats: Iterable[str] = (),
        *,
        boards: bool = True,
    ) -> dict[str, Json]:
        """Everything that is true now, and the number of the last event in it. `boards`: the modem
        boards too."""
        talking: list[Json] = [*sorted(self._talking)]
        fax: list[Json] = [*self.boards.values()] if boards else []
        return {
            "epoch": self.epoch,
            "seq": self.seq,
            "now": self.time_now(),
            "calls": self.calls(may_see),
            "seats": self.seats(seats),
            "links": dict(self.links),
            "alarms": [*self.alarms.values()],
            "talking": talking,
            "fax": fax,
        }

    def time_now(self) -> str:
        """The time as events tell it."""
        return self._time(self.now())

    def _time(self, at: datetime) -> str:
        return at.astimezone(self._zone).isoformat(timespec="milliseconds")


def seats_of(call: Call) -> frozenset[str]:
    """Seats that have or had a leg in this call."""
    return frozenset(leg.seat for leg in call.legs.values() if leg.seat is not None)


def dumps(value: object) -> str:
    """JSON as it goes over the wire."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
