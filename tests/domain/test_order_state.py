"""Every state has an answer to every event, and the promises hold on every path."""

from __future__ import annotations

from itertools import product

import pytest

from bridge.domain.delivery import A, Says
from bridge.domain.order_state import ATTEMPT, ENDED, EVENT_OF, OE, ORDER, O, after, moves, possible


@pytest.mark.parametrize(("state", "event"), list(product(O, OE)))
def test_every_pair_is_answered(state: O, event: OE) -> None:
    found = after(state, event)
    assert found is None or found in O


@pytest.mark.req("LL-27")
@pytest.mark.req("YJ-44")
def test_nobody_at_a_unit_can_end_an_order_but_by_its_result() -> None:
    centre = {OE.CANCEL, OE.DISPATCH, OE.REMIND, OE.CLOSE, OE.LADDER_ENDED}
    for state, event in product(O, set(OE) - centre):
        found = after(state, event)
        assert found not in ENDED
        assert not (found is O.RESULT and event is not OE.RESULT)
    assert {name for name in O.__members__ if "REFUS" in name or "REJECT" in name} == set()


def test_an_ended_order_stays_ended() -> None:
    assert all(after(state, event) is None for state, event in product(ENDED, OE))


@pytest.mark.req("YJ-45")
def test_an_objection_signs_and_leaves_the_order_in_force() -> None:
    for state in (O.DISPATCHED, O.EXHAUSTED, O.ACKNOWLEDGED):
        assert after(state, OE.DISPUTE) is O.ACKNOWLEDGED
    assert after(O.ARRIVED, OE.DISPUTE) is O.ARRIVED


def test_a_person_can_sign_from_every_state_that_is_sent_and_not_over() -> None:
    for state in (O.DISPATCHED, O.EXHAUSTED, O.ACKNOWLEDGED, O.ARRIVED):
        assert after(state, OE.SIGNED) is not None


def test_responsibility_never_goes_back() -> None:
    rank = {O.ACKNOWLEDGED: 1, O.ARRIVED: 2, O.RESULT: 3, O.CLOSED: 4}
    for state, row in ORDER.items():
        for following in row.values():
            if following is not O.CANCELLED:
                assert rank.get(following, 0) >= rank.get(state, 0)


def test_what_a_unit_says_is_an_event_but_for_nothing() -> None:
    assert set(EVENT_OF) == set(Says) - {Says.NOTHING}


def test_what_is_possible_is_told_by_the_names_of_the_interface() -> None:
    assert "cancelOrder" in possible(O.DISPATCHED)
    assert possible(O.CLOSED) == ()


@pytest.mark.parametrize(("state", "told"), list(product(A, A)))
def test_every_pair_of_an_attempt_is_answered(state: A, told: A) -> None:
    assert moves(state, told) in (True, False)
    assert not moves(state, state)


def test_a_person_stands_above_every_machine_and_no_machine_above_a_person() -> None:
    assert all(moves(state, A.ACKNOWLEDGED) for state in A if state is not A.ACKNOWLEDGED)
    assert ATTEMPT[A.ACKNOWLEDGED] == frozenset()


def test_what_was_delivered_is_never_only_sent_again() -> None:
    assert not moves(A.DELIVERED, A.SENT)
    assert not moves(A.READ, A.DELIVERED)
    assert moves(A.UNKNOWN, A.DELIVERED), "what is learnt later is believed"
