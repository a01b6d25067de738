"""The read model: what it folds, numbers, keeps and forgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

import pytest

from bridge.domain.journal import Entry, Fact
from bridge.flows.subscription import Event, Subscription
from bridge.flows.view import OVER_KEPT, RING, View

START = datetime(2026, 11, 21, 3, 20, 33, 412_000, tzinfo=UTC)
_numbers: Iterator[int] = count(1)


def _entry(fact: Fact) -> Entry:
    return Entry("site", next(_numbers), fact, "", "")


def _view() -> View:
    return View("k3f9", lambda: START, timezone(timedelta(hours=8)))


def _fact(kind: str, subject: str | None = None, call: str = "c1", **data: Any) -> Fact:
    return Fact(kind, START, case=f"20261121-{call}", call=call, subject=subject, data=data)


def _offered(call: str = "c1") -> Fact:
    return _fact("call.offered", call, call, channel=f"PJSIP/{call}", number="138", entry="110")


def _seat_leg(leg: str, seat: str, call: str = "c1") -> list[Fact]:
    return [
        _fact("call.originated", leg, call, channel="PJSIP/x", role="seat", name=f"seat-{seat}"),
        _fact("call.established", leg, call, bridge="b1"),
    ]


def _publish(view: View, *facts: Fact) -> list[dict[str, Any]]:
    """Publish facts; the events that came of them."""
    heard = view.subscribe(lambda _: True)
    view.publish([_entry(fact) for fact in facts])
    view.unsubscribe(heard)
    return [json.loads(event.text) for event in _all(heard)]


def _snapshot(view: View) -> Any:
    """As a client reads it."""
    return json.loads(json.dumps(view.snapshot()))


def _all(subscription: Subscription) -> list[Event]:
    return [subscription._events.popleft() for _ in range(subscription.waiting)]


def test_an_envelope_is_exactly_as_the_sheet_says() -> None:
    (event,) = _publish(_view(), _offered())
    assert list(event) == [
        *("v", "epoch", "seq", "at", "type"),
        *("case", "call", "leg", "seat", "cause", "data"),
    ]
    assert event["at"] == "2026-11-21T11:20:33.412+08:00"
    assert (event["v"], event["epoch"], event["seq"]) == (1, "k3f9", 1)
    assert event["data"]["caller"]["number"] == "138"


def test_what_was_restored_is_shown_but_was_no_event() -> None:
    view = _view()
    view.restore([_offered(), *_seat_leg("l1", "8001")])
    assert view.seq == 0
    assert [leg["role"] for leg in _snapshot(view)["calls"][0]["legs"]] == [
        "citizen",
        "seat",
    ]


def test_a_fact_of_unknown_kind_is_no_event_and_does_no_harm() -> None:
    view = _view()
    events = _publish(view, _offered(), _fact("call.fromTheFuture"), _fact("audit.refused"))
    assert [event["type"] for event in events] == ["call.offered"]


def test_internal_facts_are_not_shown() -> None:
    events = _publish(
        _view(), _offered(), _fact("call.service", "8001"), _fact("call.intends", intent=None)
    )
    assert [event["type"] for event in events] == ["call.offered"]


def test_entering_a_bridge_after_being_held_is_being_retrieved() -> None:
    events = _publish(
        _view(),
        _offered(),
        _fact("call.established", "c1", bridge="b1"),
        _fact("call.held", "c1"),
        _fact("call.established", "c1", bridge="b1"),
    )
    assert [event["type"] for event in events][1:] == [
        "call.established",
        "call.held",
        "call.retrieved",
    ]


def test_a_leg_is_originated_once_though_two_facts_tell_of_it() -> None:
    leg = {"role": "hotline", "name": "hotline"}
    events = _publish(
        _view(),
        _offered(),
        _fact("call.originated", "l2", channel="", **leg),
        _fact("call.originated", "l2", channel="PJSIP/hotline-1", **leg),
    )
    assert [event["type"] for event in events] == ["call.offered", "call.originated"]


def test_what_was_learnt_later_says_so() -> None:
    late = Fact(
        "leg.muted",
        START,
        case="20261121-c1",
        call="c1",
        subject="c1",
        data={"on": True},
        learnt_at=START + timedelta(minutes=1),
    )
    events = _publish(_view(), _offered(), late)
    assert events[-1]["data"]["learnt_at"] == "2026-11-21T03:21:33.412000+00:00"


def test_the_ring_is_bounded_and_says_where_it_begins() -> None:
    view = _view()
    for _ in range(RING + 1):
        view.link("fax", {"state": "up"})
    missed = view.since("k3f9", 1)
    assert missed is not None
    assert [missed[0].seq, missed[-1].seq] == [2, RING + 1]
    assert view.since("k3f9", 0) is None
    assert view.since("k3f9", RING + 1) == []
    assert view.since("k3f9", RING + 2) is None
    assert view.since("other", 5) is None


def test_calls_that_are_over_are_forgotten_oldest_first() -> None:
    view = _view()
    for number in range(OVER_KEPT + 5):
        call = f"c{number}"
        _publish(
            view,
            _offered(call),
            _fact("call.connectionCleared", call, call, cause=16),
            _fact("call.cleared", None, call, outcome="citizen_left", cause=16),
        )
    assert view.call("c4") is None
    assert view.call("c5") is not None
    assert len(view.book.calls) == OVER_KEPT
    assert _snapshot(view)["calls"] == []


def test_a_call_shown_again_after_a_fact_is_shown_as_it_is_then() -> None:
    view = _view()
    _publish(view, _offered())
    before: Any = view.call("c1")
    _publish(view, _fact("leg.muted", "c1", on=True))
    after: Any = view.call("c1")
    assert (before["legs"][0]["muted"], after["legs"][0]["muted"]) == (False, True)


def test_events_of_a_call_name_the_seats_that_have_or_had_it() -> None:
    view = _view()
    heard = view.subscribe(lambda _: True)
    facts = [_offered(), *_seat_leg("l1", "8001"), *_seat_leg("l2", "8002")]
    view.publish([_entry(fact) for fact in [*facts, _fact("leg.left", "l1", bridge="b1")]])
    assert [event.seats for event in _all(heard)] == [
        None,
        None,
        None,
        frozenset({"8001", "8002"}),
        frozenset({"8001", "8002"}),
        frozenset({"8001", "8002"}),
    ]


def test_a_command_is_the_cause_of_its_own_facts_and_of_what_follows_from_them() -> None:
    view = _view()
    service = Fact(
        "call.service",
        START,
        case="20261121-c1",
        call="c1",
        subject="8001",
        actor="liu",
        data={"service": "HoldCall", "key": "k-1"},
    )
    events = _publish(
        view,
        _offered(),
        service,
        Fact("leg.muted", START, "20261121-c1", "c1", "c1", "liu", {"on": True}),
        _fact("call.held", "c1"),
        _fact("call.held", "c1"),
    )
    causes = [(event["type"], event["cause"]) for event in events[1:]]
    named = {"command": "k-1", "code": "HoldCall"}
    assert causes == [("leg.muted", named), ("call.held", named), ("call.held", None)]


async def test_a_client_over_its_bound_is_too_slow_and_holds_nothing() -> None:
    view = _view()
    slow, quick = view.subscribe(lambda _: True, limit=3), view.subscribe(lambda _: True)
    for _ in range(4):
        view.link("fax", {"state": "up"})
    assert slow.too_slow
    assert slow.waiting == 0
    assert quick.waiting == 4
    assert await slow.next(1.0) is None
    await slow.wait_too_slow()


async def test_waiting_for_an_event_ends_in_time() -> None:
    nothing = _view().subscribe(lambda _: True)
    assert await nothing.next(0.01) is None


def test_links_and_alarms_stay_in_the_snapshot_until_they_are_over() -> None:
    view = _view()
    view.link("asterisk", {"state": "bad_secret", "words": "w"})
    view.alarm("a", "look")
    shown = _snapshot(view)
    assert shown["links"]["asterisk"]["state"] == "down"
    assert [alarm["alarm"] for alarm in shown["alarms"]] == ["a"]
    view.alarm("a", "")
    assert _snapshot(view)["alarms"] == []


def test_a_moment_of_an_unknown_leg_is_not_told_and_one_without_a_name_is_refused() -> None:
    view = _view()
    _publish(view, _offered())
    view.ephemeral("leg.talking", {"leg": "c1", "on": True}, call="c1")
    view.ephemeral("leg.talking", {"leg": "no", "on": True}, call="c1")
    view.ephemeral("leg.talking", {"leg": "c1", "on": True}, call="no")
    assert view.seq == 2
    assert _snapshot(view)["talking"] == ["c1"]
    with pytest.raises(ValueError, match="no event without a fact"):
        view.ephemeral("call.cleared", {}, call="c1")
