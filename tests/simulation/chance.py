"""What goes wrong in a run, and when: drawn from the seed, with a bias to the places that matter.

Code under test knows nothing of this. The simulated ports ask `maybe("store.synced")` at every step
that a crash could fall between; each run has a few favourite places, where things go wrong often,
so that rare meetings of two faults are met within a bounded number of seeds.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

PLACES = (
    "store.queued",  # a transaction has come to the store
    "store.written",  # it is in the file, nothing is synced
    "store.synced",  # it is durable, nobody was told
    "store.told",  # it was published and its waiters know
    "action.received",  # an action reached the switch and was not done
    "action.done",  # it was done and nobody knows
    "originate.received",
    "originate.done",
    "event.sent",  # an event is on its way
    "answer.made",  # a request was answered and the client does not know
    "snapshot.begun",  # the list of channels is being read
    "outbox.claimed",  # a message was taken and not sent
    "outbox.sent",  # it arrived and nobody knows
)

FAULTS = (
    "kill",
    "power",
    "cut",
    "half-open",
    "half-open-in",
    "deaf",
    "late",
    "sync-fails",
    "disk-away",
    "disk-full",
    "disk-slow",
    "disk-stuck",
    "client-goes",
    "party-goes",
    "asterisk-dies",
)
_WEIGHTS = (10, 5, 10, 6, 4, 5, 5, 4, 3, 3, 3, 2, 8, 8, 1)


@dataclass(frozen=True, slots=True)
class Favourite:
    """A place of this run where `fault` happens with probability `share`."""

    place: str
    fault: str
    share: float


class Chance:
    """The one source of randomness of a run. `strike(fault)` makes a fault happen.

    `bias` is a further favourite place with its fault, for what this pair alone brings to light.
    """

    def __init__(self, seed: int, bias: tuple[str, str] | None = None) -> None:
        self.random = random.Random(seed)
        self.quiet = False
        self.strike: Callable[[str], None] = lambda fault: None
        draw = self.random
        count = draw.choice((0, 1, 1, 2, 2, 3))
        self.favourites = {
            place: Favourite(place, self.fault(), draw.choice((0.03, 0.1, 0.3)))
            for place in draw.sample(PLACES, count)
        }
        self.left = draw.randint(1, 6)
        """Faults at favourite places; then the run is let go on."""
        if bias is not None:
            place, fault = bias
            self.favourites[place] = Favourite(place, fault, draw.choice((0.03, 0.1, 0.3)))
            self.left += 3

    def fault(self) -> str:
        """One of FAULTS, frequent ones more often."""
        return self.random.choices(FAULTS, _WEIGHTS)[0]

    def maybe(self, place: str) -> None:
        """A step that something may go wrong at."""
        if self.quiet or self.left <= 0:
            return
        favourite = self.favourites.get(place)
        if favourite is not None and self.random.random() < favourite.share:
            self.left -= 1
            self.strike(favourite.fault)

    def delay(self, low: float, high: float) -> float:
        """Seconds between `low` and `high`, mostly short."""
        return low + (high - low) * self.random.random() ** 3
