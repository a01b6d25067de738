"""Half duplex: who keys the radio, and when nobody may."""

from __future__ import annotations

import pytest

from bridge.domain.floor import Floor

pytestmark = pytest.mark.req("LL-09")


def test_the_key_is_held_while_somebody_talks_and_over_short_pauses() -> None:
    floor = Floor(0.5)
    assert not floor.wanted(0.0)
    floor.talks("citizen", True, 1.0)
    assert floor.wanted(1.0)
    floor.talks("seat", True, 2.0)
    floor.talks("citizen", False, 3.0)
    assert floor.wanted(3.0)
    assert floor.deadline(3.0) is None
    floor.talks("seat", False, 4.0)
    assert floor.wanted(4.4)
    assert floor.deadline(4.4) == 4.5
    assert not floor.wanted(4.5)
    floor.talks("seat", True, 5.0)
    floor.talks("seat", False, 5.1)
    floor.talks("seat", True, 5.4)
    assert floor.wanted(9.0)


def test_nobody_keys_over_the_radio_and_who_still_talks_is_next() -> None:
    floor = Floor(0.5)
    floor.radio(True)
    floor.talks("citizen", True, 1.0)
    assert not floor.wanted(1.0)
    floor.radio(False)
    assert floor.wanted(2.0)


def test_our_own_carrier_does_not_take_the_key_from_us() -> None:
    floor = Floor(0.5)
    floor.talks("citizen", True, 1.0)
    floor.keyed(True)
    floor.radio(True)
    assert floor.wanted(1.2)
    floor.talks("citizen", False, 2.0)
    floor.keyed(False)
    assert not floor.wanted(2.1)


def test_after_the_time_out_timer_the_floor_is_the_radios_until_all_were_silent() -> None:
    floor = Floor(0.5)
    floor.talks("citizen", True, 0.0)
    floor.keyed(True)
    floor.ended()
    assert not floor.wanted(60.0)
    floor.talks("seat", True, 61.0)
    assert not floor.wanted(61.0)
    floor.talks("citizen", False, 62.0)
    assert not floor.wanted(62.0)
    floor.talks("seat", False, 63.0)
    floor.talks("citizen", True, 64.0)
    assert floor.wanted(64.0)


def test_an_end_in_silence_costs_nobody_the_next_word() -> None:
    floor = Floor(0.5)
    floor.talks("citizen", True, 0.0)
    floor.talks("citizen", False, 1.0)
    floor.keyed(True)
    floor.ended()
    assert not floor.wanted(1.1)
    floor.talks("citizen", True, 2.0)
    assert floor.wanted(2.0)


def test_an_end_of_talking_that_never_began_changes_nothing() -> None:
    floor = Floor(0.5)
    floor.talks("gone", False, 1.0)
    assert not floor.wanted(1.0)
