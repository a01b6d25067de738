"""Files of a real Asterisk are told apart: closed, closed without sound, killed early and late."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.tracks.wav import BUFFER_SAMPLES, HEADER_BYTES, Damage, header, inspect

CAPTURES = Path(__file__).parents[1] / "captures" / "tracks"
KILLED_SIZE = 32_812
"""Size that `killed-one-buffer.head` had when it was whole."""


@pytest.mark.parametrize(
    ("name", "damage", "samples", "cut_off"),
    [
        ("closed.wav", Damage.NONE, 1600, False),
        ("closed-empty.wav", Damage.NONE, 0, False),
        ("killed-early.wav", Damage.EMPTY, 0, True),
    ],
)
def test_what_asterisk_closed_is_told_from_what_it_could_not_close(
    name: str, damage: Damage, samples: int, cut_off: bool
) -> None:
    data = (CAPTURES / name).read_bytes()
    sound = inspect(data, len(data))
    assert (sound.damage, sound.samples, sound.cut_off) == (damage, samples, cut_off)


def test_a_killed_track_holds_whole_buffers_that_a_repair_gives_back() -> None:
    head = (CAPTURES / "killed-one-buffer.head").read_bytes()
    sound = inspect(head, KILLED_SIZE)
    assert (sound.damage, sound.samples) == (Damage.LENGTH_ZERO, BUFFER_SAMPLES)
    assert sound.repairable
    assert any(head[HEADER_BYTES:])


def test_the_header_we_make_is_asterisks_own() -> None:
    assert header(1600) == (CAPTURES / "closed.wav").read_bytes()[:HEADER_BYTES]
    assert header(0) == (CAPTURES / "closed-empty.wav").read_bytes()
