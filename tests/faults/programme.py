"""Random programmes of calls, acts and faults, and their shortest failing form. Pure.

The same seed gives the same programme. A programme is a list of steps that make sense in any
order, so that some of them can be left out: what cannot be done at its turn is passed over.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

FIRST_SEED: Final = 1
AT_A_TIME: Final = 5
"""Programmes in one world: with two citizens each as many calls as there are seats."""
Do = Literal["dial", "ask", "key", "hang", "die", "peer", "world", "wait"]
CITIZENS: Final = 2
"""At most so many in one programme."""
MIN_STEPS: Final = 4
MAX_STEPS: Final = 11
SERVICES: Final = (
    "three-way",
    "three-way",
    "transfer",
    "transfer",
    "consult",
    "consult",
    "alternate",
    "conference",
    "reconnect",
    "hold",
    "retrieve",
    "cancel",
    "leave",
    "leave",
    "clear",
)
PARTIES: Final = ("citizen", "seat", "seat", "third", "third")
"""A citizen's telephone does not die here: Asterisk takes 30 s to clear it."""
PEERS: Final = ("auto", "busy", "reject", "ring", "machine")
WORLD: Final = ("kill", "kill", "cut", "dead", "full", "fails")
"""Troubles of the daemon's world; each is mended by the next `mend`, at the latest at the end."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens, then a pause in seconds."""

    do: Do
    who: int = 0
    what: str = ""
    pause: float = 0.0

    def __str__(self) -> str:
        words = [self.do, *(["" if self.do in ("world", "wait") else str(self.who)]), self.what]
        return f"{' '.join(filter(None, words))} ({self.pause:g} s)"


Programme = tuple[Step, ...]


def programme(seed: int) -> Programme:
    """The programme of that seed."""
    chance = random.Random(seed)
    citizens = chance.randint(1, CITIZENS)
    steps = [Step("dial", who, pause=_pause(chance)) for who in range(citizens)]
    steps.append(Step("wait", pause=round(chance.uniform(0.6, 1.2), 2)))
    for _ in range(chance.randint(MIN_STEPS, MAX_STEPS)):
        steps.append(_step(chance, chance.randrange(citizens)))
    return tuple(steps)


def _pause(chance: random.Random) -> float:
    """Often at the same instant, mostly soon, sometimes late."""
    return round(chance.choice((0.0, chance.uniform(0, 0.2), chance.uniform(0.2, 1.3))), 2)


def _step(chance: random.Random, who: int) -> Step:
    do: Do = chance.choices(
        ("ask", "key", "hang", "die", "peer", "world", "world", "wait"),
        weights=(40, 6, 12, 4, 8, 9, 9, 12),
    )[0]
    pause = _pause(chance)
    if do == "ask":
        return Step(do, who, chance.choice(SERVICES), pause)
    if do in ("hang", "die"):
        return Step(do, who, chance.choice(PARTIES if do == "hang" else PARTIES[1:]), pause)
    if do == "peer":
        return Step(do, who, chance.choice(PEERS), pause)
    if do == "world":
        what = chance.choice((*WORLD, "mend", "mend", "mend"))
        return Step(do, 0, what, max(pause, 0.2))
    return Step(do, who, "", max(pause, 0.3) if do == "wait" else pause)


def words(steps: Programme) -> str:
    """A programme as a person reads it."""
    return "; ".join(map(str, steps))


Together = tuple[tuple[int, Step], ...]
"""Programmes that run at the same time in one world: each step with the seed it belongs to."""


def together(seeds: Sequence[int]) -> Together:
    """The programmes of these seeds, one after the other."""
    return tuple((seed, step) for seed in seeds for step in programme(seed))


def apart(steps: Together) -> list[tuple[int, Programme]]:
    """By seed, for the runner."""
    seeds = dict.fromkeys(seed for seed, _ in steps)
    return [(seed, tuple(step for of, step in steps if of == seed)) for seed in seeds]


T = TypeVar("T")


async def shrink(
    steps: tuple[T, ...], fails: Callable[[tuple[T, ...]], Awaitable[bool]], tries: int = 40
) -> tuple[T, ...]:
    """The shortest part of `steps` that still fails, after at most `tries` runs (delta debugging:
    leave out halves, then quarters, down to single steps)."""
    left = tries

    async def still(part: tuple[T, ...]) -> bool:
        nonlocal left
        left -= 1
        return await fails(part)

    size = max(len(steps) // 2, 1)
    while size and left > 0:
        shorter = None
        for at in range(0, len(steps), size):
            part = steps[:at] + steps[at + size :]
            if part and left > 0 and await still(part):
                shorter = part
                break
        if shorter is not None:
            steps = shorter
            size = min(size, max(len(steps) // 2, 1))
        else:
            size //= 2
    return steps


def batches(seeds: Sequence[int]) -> list[tuple[int, ...]]:
    """Seeds that run at the same time in one world."""
    return [tuple(seeds[at : at + AT_A_TIME]) for at in range(0, len(seeds), AT_A_TIME)]


def batch_of(seed: int) -> tuple[int, ...]:
    """The seeds with which this one runs: what they do to the world it lives in, too."""
    first = seed - (seed - FIRST_SEED) % AT_A_TIME
    return tuple(range(first, first + AT_A_TIME))
