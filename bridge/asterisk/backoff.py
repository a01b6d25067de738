"""How long to wait before the next connection. Connections only: acts are never repeated."""

from __future__ import annotations

import random

from tenacity import RetryCallState, Retrying
from tenacity.wait import wait_exponential


class Backoff:
    """Doubles from `first` to `ceiling` seconds; jitter takes up to a half off each."""

    def __init__(self, first: float, ceiling: float, rng: random.Random) -> None:
        self._strategy = wait_exponential(multiplier=first, max=ceiling)
        self._rng = rng
        self._attempts = RetryCallState(Retrying(), None, (), {})
        self.reset()

    def reset(self) -> None:
        """A connection held: begin anew."""
        self._attempts.attempt_number = 0

    @property
    def attempts(self) -> int:
        """Failures since the last reset."""
        return self._attempts.attempt_number

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        self._attempts.attempt_number += 1
        return self.jitter(self._strategy(self._attempts))

    def jitter(self, seconds: float) -> float:
        """Half to whole of `seconds`, so that many bridges do not come back at one instant."""
        return seconds * (0.5 + self._rng.random() / 2)
