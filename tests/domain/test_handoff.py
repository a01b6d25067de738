"""Responsibility moves at most once, and only after a person accepted."""

from __future__ import annotations

from itertools import product

import pytest

from bridge.domain.handoff import (
    FAILURE,
    HANDOFF,
    HE,
    UNSEEN,
    H,
    Outcome,
    advance,
    outcome_of_cause,
)


@pytest.mark.parametrize(("state", "event"), list(product(H, HE)))
def test_every_pair_is_answered_and_every_end_is_on_the_closed_list(state: H, event: HE) -> None:
    found = advance(state, event)
    if found is None:
        return
    following, outcome = found
    if following is H.ENDED:
        assert outcome == FAILURE or outcome in set(Outcome)
    else:
        assert outcome is None


@pytest.mark.req("LY-08")
def test_nobody_takes_the_matter_before_joining() -> None:
    into_taken = {s for s, row in HANDOFF.items() if H.TAKEN in {t for t, _ in row.values()}}
    assert into_taken == {H.JOINED}
    into_completed = {
        s for s, row in HANDOFF.items() if Outcome.COMPLETED in {o for _, o in row.values()}
    }
    assert into_completed == {H.TAKEN}


def test_an_ended_handoff_stays_ended() -> None:
    assert all(advance(H.ENDED, event) is None for event in HE)


@pytest.mark.parametrize(
    ("cause", "rang", "outcome"),
    [
        (17, True, Outcome.BUSY),
        (19, True, Outcome.NO_ANSWER),
        (21, False, Outcome.REJECTED),
        (38, False, Outcome.UNREACHABLE),
        (16, True, Outcome.NO_ANSWER),
        (16, False, Outcome.FAILED),
        (UNSEEN, False, Outcome.UNKNOWN),
        (999, True, Outcome.FAILED),
    ],
)
def test_the_cause_of_a_failed_leg_gives_the_outcome(
    cause: int, rang: bool, outcome: Outcome
) -> None:
    assert outcome_of_cause(cause, rang=rang, cancelled=False) is outcome


def test_a_withdrawn_call_is_cancelled_whatever_the_cause() -> None:
    assert outcome_of_cause(17, rang=True, cancelled=True) is Outcome.CANCELLED
