"""Telephones that send no packet any more, by their counts of packets. Pure.

A telephone that dies sends nothing, not even a goodbye: its count stands still (softphone sheet,
6.4).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto


class Heard(Enum):
    """What one count tells."""

    MOVES = auto()  # packets come
    BACK = auto()  # packets come again, after STILL
    WAITS = auto()  # none since the last count, or told before
    STILL = auto()  # none for so many counts: told once


@dataclass(slots=True)
class _Count:
    packets: int = -1
    moved: bool = False
    still: int = 0
    told: bool = False


class Stillness:
    """The counts of some legs. `polls` without a new packet make a telephone still; with
    `unproved` also one that has sent none since it is looked at."""

    def __init__(self, polls: int, *, unproved: bool) -> None:
        self._polls = polls
        self._unproved = unproved
        self._counts: dict[str, _Count] = {}

    def keep(self, legs: Collection[str]) -> None:
        """Forget all the others."""
        self._counts = {leg: count for leg, count in self._counts.items() if leg in legs}

    def counted(self, leg: str, packets: int) -> Heard:
        """Take in how many packets a leg has sent so far."""
        count = self._counts.setdefault(leg, _Count())
        if packets != count.packets:
            heard = Heard.BACK if count.told else Heard.MOVES
            count.moved = count.packets >= 0
            count.packets, count.still, count.told = packets, 0, False
            return heard
        count.still += 1
        if count.still < self._polls or count.told or not (count.moved or self._unproved):
            return Heard.WAITS
        count.told = True
        return Heard.STILL
