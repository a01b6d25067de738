"""The canary's judgement and the back-off's steps: pure, no loop."""

from __future__ import annotations

import random

import pytest

from bridge.asterisk.backoff import Backoff
from bridge.asterisk.canary import MAX_OUTSTANDING, NAME, Canary, Returned
from bridge.wire.ami import Message


def returned(number: object, link: str = "ours") -> Message:
    return Message.of(
        {"Event": "UserEvent", "UserEvent": NAME, "Number": str(number), "Link": link}
    )


def test_lag_is_the_age_of_the_canary_that_came_back() -> None:
    canary = Canary("ours")
    assert canary.lag(0.0) is None
    assert canary.next(10.0) == {"UserEvent": NAME, "Number": "1", "Link": "ours"}
    assert canary.take(returned(1), 10.25) == Returned(0.25, 0)
    assert canary.lag(11.0) == 0.25


def test_lag_grows_while_nothing_comes_back() -> None:
    canary = Canary("ours")
    canary.next(10.0)
    assert canary.lag(10.5) == 0.5
    canary.next(11.0)
    assert canary.lag(14.0) == 4.0
    canary.take(returned(1), 14.0)
    assert canary.lag(14.0) == 4.0
    canary.take(returned(2), 14.0)
    assert canary.lag(14.0) == 3.0


def test_older_canaries_that_never_came_are_lost_once() -> None:
    canary = Canary("ours")
    for second in range(4):
        canary.next(float(second))
    assert canary.take(returned(1), 4.0) == Returned(4.0, 0)
    assert canary.take(returned(4), 4.0) == Returned(1.0, 2)
    assert canary.take(returned(2), 5.0) is None
    assert canary.lag(9.0) == 1.0


@pytest.mark.parametrize("number", [0, -1, 2, "x", "", "9" * 400, "１"])
def test_a_number_never_sent_is_ignored(number: object) -> None:
    canary = Canary("ours")
    canary.next(0.0)
    assert canary.take(returned(number), 1.0) is None
    assert canary.take(returned(1), 1.0) == Returned(1.0, 0)


def test_another_sessions_canary_is_ignored() -> None:
    canary = Canary("ours")
    canary.next(0.0)
    assert canary.take(returned(1, link="theirs"), 1.0) is None
    assert canary.lag(2.0) == 2.0


def test_outstanding_canaries_are_bounded() -> None:
    canary = Canary("ours")
    for second in range(MAX_OUTSTANDING):
        assert not canary.full
        canary.next(float(second))
    assert canary.full
    canary.withdraw()
    assert not canary.full


def test_backoff_doubles_to_its_ceiling_with_jitter_and_starts_anew() -> None:
    backoff = Backoff(0.1, 2.0, random.Random(7))
    waits = [backoff.next() for _ in range(8)]
    steps = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert all(step / 2 <= wait <= step for wait, step in zip(waits, steps, strict=True))
    assert len(set(waits)) == 8
    assert backoff.attempts == 8
    backoff.reset()
    assert backoff.attempts == 0
    assert backoff.next() <= 0.1
