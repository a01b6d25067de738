"""Who is listened to, and when a telephone counts as silent. Pure."""

from __future__ import annotations

import pytest

from bridge.asterisk.standby import Bridges, Member
from bridge.asterisk.stillness import Heard, Stillness
from bridge.wire.ami import Message

CITIZEN, SEAT, THIRD = "1.1", "1.2", "1.3"


def event(name: str, unique: str = "", **more: str) -> Message:
    headers = {"Event": name, "Uniqueid": unique, "Channel": f"PJSIP/{unique}", **more}
    return Message.of({**headers, "ChanVariable": f"CASE={CITIZEN}"})


def entered(bridges: Bridges, *uniques: str) -> None:
    for unique in uniques:
        bridges.event(event("BridgeEnter", unique, BridgeUniqueid="b"))


def heard(bridges: Bridges) -> list[tuple[str, str]]:
    return [(citizen.unique, other.unique) for citizen, other in bridges.listened()]


def test_only_the_one_other_party_of_a_citizen_is_listened_to() -> None:
    bridges = Bridges()
    entered(bridges, CITIZEN)
    assert heard(bridges) == []
    entered(bridges, SEAT)
    assert heard(bridges) == [(CITIZEN, SEAT)]
    entered(bridges, THIRD)
    assert heard(bridges) == [], "somebody else is heard"
    bridges.event(event("BridgeLeave", SEAT, BridgeUniqueid="b"))
    assert heard(bridges) == [(CITIZEN, THIRD)]
    bridges.event(event("BridgeLeave", CITIZEN, BridgeUniqueid="b"))
    entered(bridges, SEAT)
    assert heard(bridges) == [], "a consultation without the citizen"
    bridges.event(event("BridgeDestroy", BridgeUniqueid="b"))
    assert heard(bridges) == []


def test_a_telephone_on_hold_may_be_silent() -> None:
    bridges = Bridges()
    entered(bridges, SEAT, CITIZEN)
    bridges.event(event("Hold", SEAT))
    assert heard(bridges) == []
    bridges.event(event("Unhold", SEAT))
    assert heard(bridges) == [(CITIZEN, SEAT)]
    bridges.event(event("Hold", SEAT))
    bridges.event(event("Hangup", SEAT))
    assert bridges.on_hold == set()


def test_a_snapshot_replaces_what_events_told() -> None:
    bridges = Bridges()
    entered(bridges, CITIZEN, SEAT)
    there = [Member(one, f"PJSIP/{one}", CITIZEN) for one in (CITIZEN, THIRD)]
    bridges.replace(("x", member) for member in there)
    assert heard(bridges) == [(CITIZEN, THIRD)]


@pytest.mark.parametrize(
    ("unproved", "counts", "told"),
    [
        (True, [5, 5, 5, 5, 5], [Heard.MOVES, Heard.WAITS, Heard.STILL, Heard.WAITS, Heard.WAITS]),
        (False, [5, 5, 5, 5], [Heard.MOVES, Heard.WAITS, Heard.WAITS, Heard.WAITS]),
        (False, [5, 6, 6, 6, 7], [*[Heard.MOVES] * 2, Heard.WAITS, Heard.STILL, Heard.BACK]),
        (True, [5, 5, 6, 6, 6], [Heard.MOVES, Heard.WAITS, Heard.MOVES, Heard.WAITS, Heard.STILL]),
    ],
)
def test_counts_of_packets(unproved: bool, counts: list[int], told: list[Heard]) -> None:
    stillness = Stillness(2, unproved=unproved)
    assert [stillness.counted("leg", count) for count in counts] == told


def test_a_leg_that_is_not_kept_begins_anew() -> None:
    stillness = Stillness(1, unproved=True)
    stillness.counted("leg", 5)
    stillness.keep({"other"})
    assert stillness.counted("leg", 5) is Heard.MOVES
