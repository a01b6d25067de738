"""One-time tickets for FastAGI: which leg may ask, and what may be said on it.

FastAGI carries no credential (guard S5): whoever reaches the port can speak it. So each leg gets a
ticket as a channel variable when it is Originated, and the request must bring it back.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

Payload = TypeVar("Payload")

TICKET_BYTES: Final = 16
LIFETIME_S: Final = 120.0
"""A leg rings at most a minute and asks as soon as it is answered."""
MAX_OPEN: Final = 4096
"""Far more than legs can ring at once; at the bound the oldest ticket is given up."""


class Nonces(Generic[Payload]):
    """Tickets handed out and not used yet."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        token: Callable[[], str] = lambda: secrets.token_hex(TICKET_BYTES),
        lifetime_s: float = LIFETIME_S,
        limit: int = MAX_OPEN,
    ) -> None:
        self._monotonic = monotonic
        self._token = token
        self._lifetime_s = lifetime_s
        self._limit = limit
        self._open: OrderedDict[str, tuple[float, Payload]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def issue(self, payload: Payload) -> str:
        """A new ticket for `payload`: letters and digits, fit for a channel variable and a URL."""
        self._expire()
        while len(self._open) >= self._limit:
            self._open.popitem(last=False)
        nonce = self._token()
        self._open[nonce] = (self._monotonic() + self._lifetime_s, payload)
        return nonce

    def authorize(self, nonce: str) -> bool:
        """Whether `nonce` was handed out, is still good and not used. Does not use it."""
        self._expire()
        # 128 random bits: looking them up tells an attacker nothing that time could reveal.
        return nonce in self._open

    def take(self, nonce: str) -> Payload | None:
        """Use the ticket: its payload once, None ever after."""
        self._expire()
        found = self._open.pop(nonce, None)
        return None if found is None else found[1]

    def _expire(self) -> None:
        now = self._monotonic()
        while self._open and next(iter(self._open.values()))[0] <= now:
            self._open.popitem(last=False)
