"""The ear: which tones, since when, gaps and silences, all from packets made here."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from math import pi, sin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.lab.ear import (
    CADENCES,
    MAX_PACKETS,
    Ear,
    Packet,
    intervals,
    longest_gap,
    longest_silence,
    tones_by_frame,
)
from bridge.lab.sdp import PCMA, PCMU
from bridge.lab.tones import (
    FRAME,
    FRAME_S,
    HOLD,
    KNOWN,
    LEVEL,
    RATE,
    RINGING,
    encode,
    linear_table,
    tone_payloads,
)

Sound = Mapping[int, float]
"""Frequency to peak."""
_codes: dict[int, dict[int, int]] = {PCMA: {}, PCMU: {}}


def code(sample: float, codec: int) -> int:
    """The nearest code, remembered: encoding is slow."""
    rounded = round(sample / 8) * 8
    known = _codes[codec]
    if rounded not in known:
        known[rounded] = encode([rounded], codec)[0]
    return known[rounded]


def packets(parts: Iterable[tuple[Sound, float]], codec: int = PCMA) -> list[Packet]:
    """A stream that begins at 0 s: each part is a sound and how long it lasts."""
    made: list[Packet] = []
    for sound, seconds in parts:
        for _ in range(round(seconds / FRAME_S)):
            first = len(made) * FRAME
            payload = bytes(
                code(sum(peak * sin(2 * pi * f * n / RATE) for f, peak in sound.items()), codec)
                for n in range(first, first + FRAME)
            )
            made.append(Packet(len(made) * FRAME_S, len(made), first, codec, payload))
    return made


def heard(stream: list[Packet]) -> list[tuple[int, float, float]]:
    """Frequency, beginning and end."""
    return [(one.frequency, one.start, one.end) for one in intervals(stream)]


@pytest.mark.parametrize("codec", [PCMA, PCMU])
@pytest.mark.parametrize("frequency", KNOWN)
def test_a_telephones_own_tone_is_heard_and_no_other(frequency: int, codec: int) -> None:
    cycle = tone_payloads(frequency, codec)
    stream = [Packet(k * FRAME_S, k, k * FRAME, codec, cycle[k % 5]) for k in range(25)]
    assert {f for _, present in tones_by_frame(stream)[2:-2] for f in present} == {frequency}


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KNOWN), st.floats(3500, 9000), min_size=1, max_size=3),
    st.sampled_from([PCMA, PCMU]),
)
def test_tones_of_different_levels_are_all_heard_at_once(sound: Sound, codec: int) -> None:
    stream = packets([(sound, 0.3)], codec)
    assert tones_by_frame(stream)[7][1] == sound.keys()


def test_who_spoke_when_is_known_to_a_frame_or_two() -> None:
    a, b, c = {620: 6000.0}, {620: 6000.0, 1000: 6000.0}, {1000: 6000.0}
    found = heard(packets([(a, 0.5), (b, 0.5), (c, 0.5)]))
    assert [f for f, _, _ in found] == [620, 1000]
    edges = [edge for _, start, end in found for edge in (start, end)]
    assert edges == pytest.approx([0.0, 1.0, 0.5, 1.5], abs=0.05)


def test_noise_and_speech_like_sound_are_no_tone_yet_no_silence() -> None:
    chance = random.Random(1)
    noise = [
        Packet(k * FRAME_S, k, k * FRAME, PCMA, bytes(code(chance.gauss(0, 3000), PCMA)
                                                     for _ in range(FRAME)))
        for k in range(50)
    ]  # fmt: skip
    sweep = packets([({150.0 + 7 * k: 5000.0, 1900.0 - 11 * k: 3000.0}, 0.02) for k in range(50)])  # type: ignore[dict-item]
    assert intervals(noise) == intervals(sweep) == []
    assert longest_silence(noise, 0, 1) == pytest.approx(0, abs=0.03)


def test_a_loud_strange_tone_beside_a_known_one_is_not_taken_for_it() -> None:
    assert heard(packets([({645: 25000.0}, 0.5)])) == []


def test_a_lost_packet_does_not_cut_a_tone_in_two() -> None:
    stream = packets([({700: 6000.0}, 1.0)])
    del stream[20], stream[33]
    assert [f for f, _, _ in heard(stream)] == [700]
    assert longest_gap(stream, 0.0, 0.98) == pytest.approx(0.04)


@pytest.mark.parametrize("held_back", [1, 2, 5, 30])
def test_the_longest_gap_is_that_of_the_packets_held_back(held_back: int) -> None:
    stream = packets([({700: 6000.0}, 1.5)])
    del stream[30 : 30 + held_back]
    assert longest_gap(stream, 0.0, 1.48) == pytest.approx((held_back + 1) * FRAME_S)


def test_no_packet_at_all_is_one_gap_of_the_whole_time() -> None:
    assert longest_gap([], 3.0, 5.0) == 2.0
    assert longest_gap(packets([({}, 0.5)]), 0.0, 5.0) == pytest.approx(4.52, abs=0.01)


def test_packets_without_sound_are_silence_though_no_gap() -> None:
    stream = packets([({700: 6000.0}, 0.5), ({}, 0.6), ({700: 6000.0}, 0.5)])
    assert longest_silence(stream, 0.0, 1.6) == pytest.approx(0.6, abs=0.03)
    assert longest_gap(stream, 0.0, 1.58) == pytest.approx(0.02)


def test_telephone_events_are_packets_yet_no_sound() -> None:
    stream = packets([({700: 6000.0}, 0.4)])
    stream += [Packet(0.4 + k * FRAME_S, 20 + k, 3200, 101, b"\1\0\0\0") for k in range(20)]
    assert longest_gap(stream, 0.0, 0.78) == pytest.approx(0.02)
    assert longest_silence(stream, 0.0, 0.8) == pytest.approx(0.4, abs=0.03)


def test_the_pauses_of_the_hold_tone_are_no_silence_when_cadences_count() -> None:
    stream = packets([({HOLD: 6000.0}, 0.2), ({}, 0.8)] * 3)
    assert longest_silence(stream, 0.0, 3.0) == pytest.approx(0.8, abs=0.05)
    assert longest_silence(stream, 0.0, 3.0, CADENCES) < 0.05


def test_the_pauses_of_ringing_may_last_four_seconds() -> None:
    stream = packets([({RINGING: 6000.0}, 1.0), ({}, 4.0), ({RINGING: 6000.0}, 1.0)])
    assert longest_silence(stream, 0.0, 6.0, CADENCES) < 0.05


def test_a_pause_longer_than_its_cadence_is_silence_in_full() -> None:
    stream = packets([({HOLD: 6000.0}, 0.2), ({}, 1.5), ({700: 6000.0}, 0.3)])
    assert longest_silence(stream, 0.0, 2.0, CADENCES) == pytest.approx(1.5, abs=0.05)


def test_a_pause_after_a_voice_is_silence_whatever_cadences_there_are() -> None:
    stream = packets([({700: 6000.0}, 0.2), ({}, 0.8), ({700: 6000.0}, 0.2)])
    assert longest_silence(stream, 0.0, 1.2, CADENCES) == pytest.approx(0.8, abs=0.05)


def test_the_ear_forgets_the_oldest_at_its_bound_and_counts_all() -> None:
    ear = Ear()
    for k in range(MAX_PACKETS + 1):
        ear.hear(Packet(k * FRAME_S, k & 0xFFFF, 0, PCMA, b""))
    kept = ear.between(0.0, 1e9)
    assert ear.received == MAX_PACKETS + 1
    assert len(kept) == MAX_PACKETS + 1 - MAX_PACKETS // 10
    assert kept[-1].at == MAX_PACKETS * FRAME_S


@given(st.floats(0, 12), st.floats(0, 12))
def test_a_stretch_and_a_tail_hold_just_the_packets_of_their_time(t0: float, t1: float) -> None:
    ear = Ear()
    for k in range(500):
        ear.hear(Packet(k * FRAME_S, k, 0, PCMA, b""))
    everything = [k * FRAME_S for k in range(500)]
    assert [p.at for p in ear.tail(t0)] == [at for at in everything if at >= t0]
    if t0 < t1:
        assert [p.at for p in ear.between(t0, t1)] == [at for at in everything if t0 <= at < t1]


@pytest.mark.parametrize("codec", [PCMA, PCMU])
def test_every_code_of_g711_is_its_own_nearest(codec: int) -> None:
    table = linear_table(codec)
    codes = encode(list(table), codec)
    assert [table[c] for c in codes] == list(table)
    assert max(table) > 32000
    assert min(table) < -32000


def test_known_values_of_g711() -> None:
    """ITU-T G.711, tables 1a and 2a: the ends of the scale and the codes of silence."""
    assert (linear_table(PCMA)[0xD5], linear_table(PCMA)[0xAA]) == (8, 32256)
    assert (linear_table(PCMU)[0xFF], linear_table(PCMU)[0x80]) == (0, 32124)
    assert linear_table(PCMU)[0x00] == -32124


@pytest.mark.parametrize("frequency", [625, -10, 3410])
def test_a_tone_that_does_not_fit_the_cycle_is_refused(frequency: int) -> None:
    with pytest.raises(ValueError, match="multiple of 10"):
        tone_payloads(frequency, PCMA)


def test_a_cycle_of_payloads_is_a_steady_tone() -> None:
    cycle = b"".join(tone_payloads(1000, PCMA))
    peaks = [linear_table(PCMA)[c] for c in cycle]
    assert len(cycle) == 800
    assert max(peaks) == pytest.approx(LEVEL, rel=0.05)
    assert peaks[:8] == pytest.approx(peaks[160:168], abs=16)
    assert peaks[:8] == pytest.approx(peaks[792:], abs=16)
