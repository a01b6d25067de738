"""What comes from the disk is hostile: names and headers of any form are read right or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.tracks.naming import BadName, TrackName, is_made, joined_name, parse
from bridge.tracks.wav import HEAD_BYTES, HEADER_BYTES, MAX_SAMPLES, Damage, header, inspect

CASES = st.from_regex(r"\A([A-Za-z0-9_-]{1,20}-)?[0-9]{1,12}\.[0-9]{1,10}\Z")
LEGS = st.from_regex(r"\A[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9}){0,3}\Z")
STARTS = st.integers(10**12, 10**13 - 1)


@given(CASES, LEGS, STARTS)
def test_every_name_of_the_form_is_read_back_to_its_parts(case: str, leg: str, start: int) -> None:
    name = TrackName(case, leg, start)
    assert parse(str(name)) == name


@given(CASES, LEGS, STARTS)
def test_a_made_file_is_never_taken_for_a_track(case: str, leg: str, start: int) -> None:
    for made in (joined_name(case), TrackName(case, leg, start).repaired):
        assert is_made(made)
        with pytest.raises(BadName):
            parse(made)


@given(st.text())
def test_any_text_is_read_exactly_or_refused(text: str) -> None:
    try:
        read = str(parse(text))
    except BadName as refusal:
        read = str(refusal)
    assert read == text or (read.isascii() and "needs the form" in read)


@pytest.mark.parametrize("leg", ["citizen", "seat-8001", "hotline", "unit-6001", "leader-8099"])
@pytest.mark.parametrize("case", ["1732412345.17", "gz-110-a-1732412345.17"])
def test_the_legs_of_the_plans_are_tracks(case: str, leg: str) -> None:
    name = parse(f"{case}-{leg}-1732412346123.wav")
    assert (name.case, name.leg, name.started_ms) == (case, leg, 1_732_412_346_123)


@pytest.mark.parametrize(
    "text",
    [
        "../1732412345.17-citizen-1732412346123.wav",
        "/1732412345.17-citizen-1732412346123.wav",
        "1732412345.17-citizen/../x-1732412346123.wav",
        "1732412345.17-citizen-1732412346123.wav\0",
        "1732412345.17-citizen-1732412346123.wav\n",
        "1732412345.17-citi\0zen-1732412346123.wav",
        "1732412345.17--1732412346123.wav",
        "1732412345.17-Citizen-1732412346123.wav",
        "1732412345.17-citizen-173241234612.wav",
        "1732412345.17-citizen-١٧٣٢٤١٢٣٤٦١٢٣.wav",
        "1732412345.17-市民-1732412346123.wav",
        "1732412345.17-citizen-1732412346123.WAV",
        "s" * 300 + "-1732412345.17-citizen-1732412346123.wav",
        "1732412345.17-" + "c" * 300 + "-1732412346123.wav",
        ".",
        "",
    ],
)
def test_other_names_are_refused_with_a_short_word(text: str) -> None:
    with pytest.raises(BadName) as refusal:
        parse(text)
    assert len(str(refusal.value)) < 450


@given(st.binary(max_size=HEAD_BYTES), st.integers(0, 1 << 40))
def test_any_beginning_has_a_name_and_never_more_sound_than_the_file(
    head: bytes, more: int
) -> None:
    size = len(head) + (more if len(head) == HEAD_BYTES else 0)
    sound = inspect(head, size)
    assert sound.samples * 2 <= max(0, size - sound.offset)
    assert sound.samples <= MAX_SAMPLES


@given(st.integers(1, 10**6), st.integers(0, 2**32 - 1))
def test_whatever_length_a_header_states_the_sound_is_what_the_file_holds(
    samples: int, stated: int
) -> None:
    right = header(samples)
    size = HEADER_BYTES + 2 * samples
    sound = inspect(right[:40] + stated.to_bytes(4, "little"), size)
    if stated in (2 * samples, 2 * samples - 1):
        assert sound.damage in (Damage.NONE, Damage.HALF_SAMPLE)
    else:
        assert sound.damage in (Damage.LENGTH_ZERO, Damage.LENGTH_SHORT, Damage.LENGTH_LONG)
        assert sound.samples == samples


@given(st.integers(0, HEADER_BYTES - 1))
def test_a_header_cut_anywhere_is_damage_without_sound(cut: int) -> None:
    sound = inspect(header(8000)[:cut], cut)
    assert sound.damage in (Damage.EMPTY, Damage.CUT_HEADER)
    assert sound.samples == 0


@pytest.mark.parametrize(
    ("place", "other"),
    [(20, b"\6\0"), (22, b"\2\0"), (24, b"\x80\x3e\0\0"), (34, b"\x08\0")],
    ids=["a-law", "stereo", "16 kHz", "8 bits"],
)
def test_sound_of_another_form_is_unreadable(place: int, other: bytes) -> None:
    right = header(100)
    head = right[:place] + other + right[place + len(other) :]
    assert inspect(head, 244).damage is Damage.UNREADABLE


def test_a_lost_first_sector_does_not_lose_the_sound() -> None:
    sound = inspect(bytes(HEADER_BYTES) + b"\1\2" * 50, HEADER_BYTES + 100)
    assert (sound.damage, sound.offset, sound.samples) == (Damage.NO_HEADER, HEADER_BYTES, 50)
