"""When a line-keyed radio is keyed: every rule on moments alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.radio.keying import Act, K, Keying, KeyingTimes, Squelch

TIMES = KeyingTimes(lead_in_s=0.3, tail_s=0.1, time_out_s=60, busy_max_s=20, answer_s=3)


def keying(times: KeyingTimes = TIMES) -> Keying:
    return Keying(times, random.Random(1))


def test_a_free_channel_is_keyed_and_the_sound_waits_for_the_lead_in() -> None:
    k = keying()
    assert k.start(10.0, busy=False) == [Act.KEY]
    assert k.tick(10.29) == []
    assert k.tick(10.3) == [Act.PLAY]
    assert k.played(15.0) == []
    assert k.tick(15.1) == [Act.UNKEY, Act.SENT]
    assert k.state is K.WAITING
    assert k.answered(16.0) == [Act.ACKNOWLEDGED]
    assert k.deadline is None


def test_no_answer_in_time_is_told() -> None:
    k = keying()
    k.start(0.0, busy=False)
    k.tick(0.3)
    k.played(1.0)
    k.tick(1.1)
    assert k.tick(4.1) == [Act.NO_ANSWER]


def test_a_busy_channel_is_never_keyed_and_given_up_in_time() -> None:
    k = keying()
    assert k.start(0.0, busy=True) == []
    assert k.tick(19.9) == []
    assert k.tick(20.0) == [Act.BUSY]
    assert not k.keyed


def test_after_a_busy_channel_a_random_pause_stands_before_keying() -> None:
    k = keying()
    k.start(0.0, busy=True)
    k.channel(False, 5.0)
    assert k.deadline is not None
    assert 5.2 <= k.deadline <= 7.0
    k.channel(True, 5.1)
    assert k.state is K.BUSY
    k.channel(False, 6.0)
    assert k.tick(k.deadline or 0) == [Act.KEY]


def test_the_highest_priority_may_override_a_busy_channel() -> None:
    assert keying().start(0.0, busy=True, override=True) == [Act.KEY]


def test_the_time_out_timer_ends_a_sound_that_does_not_end() -> None:
    k = keying()
    k.start(0.0, busy=False)
    k.tick(0.3)
    assert k.deadline == 60.0
    assert k.tick(60.0) == [Act.STOP, Act.UNKEY, Act.TIME_OUT]
    assert k.played(61.0) == []


@pytest.mark.parametrize("steps", range(4))
def test_a_stop_releases_in_every_state(steps: int) -> None:
    k = keying()
    k.start(0.0, busy=steps == 0)
    if steps >= 2:
        k.tick(0.3)
    if steps >= 3:
        k.played(1.0)
    acts = k.stop()
    assert (Act.UNKEY in acts) is (steps > 0)
    assert acts[-1] is Act.CUT
    assert not k.keyed
    assert k.stop() == []


def test_only_one_transmission_at_a_time() -> None:
    k = keying()
    k.start(0.0, busy=False)
    with pytest.raises(RuntimeError):
        k.start(1.0, busy=False)


@given(
    st.lists(
        st.tuples(
            st.floats(0.001, 40, allow_nan=False),
            st.sampled_from(["tick", "busy", "free", "played", "answered", "stop", "start"]),
        ),
        max_size=60,
    )
)
def test_whatever_happens_the_transmitter_is_never_on_longer_than_the_timer(
    steps: list[tuple[float, str]],
) -> None:
    k = keying()
    now, keyed_at = 0.0, None
    busy = False
    for wait, what in steps:
        end = now + wait
        while k.deadline is not None and k.deadline <= end:
            now = k.deadline
            acts = k.tick(now)
            keyed_at = _follow(acts, now, keyed_at, busy)
        now = end
        if what == "start" and k.state is K.IDLE:
            acts = k.start(now, busy=busy)
        elif what in ("busy", "free"):
            busy = what == "busy"
            acts = k.channel(busy, now)
        elif what == "played":
            acts = k.played(now)
        elif what == "answered":
            acts = k.answered(now)
        elif what == "stop":
            acts = k.stop()
        else:
            acts = k.tick(now)
        keyed_at = _follow(acts, now, keyed_at, busy)
        assert (keyed_at is not None) == k.keyed
        assert keyed_at is None or now - keyed_at <= TIMES.time_out_s


def _follow(acts: list[Act], now: float, keyed_at: float | None, busy: bool) -> float | None:
    for act in acts:
        if act is Act.KEY:
            assert keyed_at is None
            assert not busy, "a busy channel was keyed"
            keyed_at = now
        elif act is Act.UNKEY:
            assert keyed_at is not None
            keyed_at = None
        elif act is Act.PLAY:
            assert keyed_at is not None, "sound without carrier"
            assert now - keyed_at >= TIMES.lead_in_s - 1e-9
    return keyed_at


def test_flutter_of_the_squelch_does_not_count_and_a_stuck_one_is_known() -> None:
    squelch = Squelch(KeyingTimes(open_s=0.04, hang_s=0.2, stuck_s=120))
    for n in range(10):  # 20 ms on, 20 ms off
        squelch.see(n % 2 == 0, n * 0.02)
    assert not squelch.open
    squelch.see(True, 1.0)
    squelch.see(True, 1.05)
    assert squelch.open
    squelch.see(False, 2.0)
    squelch.see(True, 2.1)
    squelch.see(True, 2.3)
    assert squelch.open, "a drop shorter than the hang time"
    assert not squelch.stuck(100.0)
    assert squelch.stuck(121.1)
    squelch.see(False, 130.0)
    squelch.see(False, 130.21)
    assert not squelch.open
