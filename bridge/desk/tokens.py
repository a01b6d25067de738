"""Who is speaking: bearer tokens and what stands behind them, until the desk has its sign-in."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.tokens import Role, TokenRecord, digest

RATE = 50.0
"""Requests a second that one token may make."""
BURST = 100.0
"""Requests that it may make at once, when it was quiet before."""
BUCKETS = 10_000
"""Tokens whose rate is remembered: as many as a tokens file may hold."""
MAX_TOKEN = 256
"""Longest text that is looked at as a token; ours have 43 letters."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A signed-in person or program. `seat` is theirs, or None."""

    name: str
    role: Role
    seat: str | None


class Tokens:
    """Finds the grant behind a token. The list is replaced while running."""

    def __init__(self, records: Sequence[TokenRecord], now: Callable[[], datetime]) -> None:
        self._now = now
        self._by_digest: dict[str, TokenRecord] = {}
        self.replace(records)

    def replace(self, records: Sequence[TokenRecord]) -> None:
        """Use these records from now on."""
        self._by_digest = {record.sha256: record for record in records}

    def grant(self, token: str) -> Grant | None:
        """The grant of a token, or None: unknown, expired, or no token at all."""
        if not 0 < len(token) <= MAX_TOKEN:
            return None
        hashed = digest(token)
        record = self._by_digest.get(hashed)
        if record is None or not hmac.compare_digest(record.sha256, hashed):
            return None
        if not record.valid_at(self._now()):
            return None
        return Grant(record.name, record.role, record.seat)

    def valid(self, grant: Grant) -> bool:
        """Whether the grant of an open connection still stands."""
        found = (record for record in self._by_digest.values() if record.name == grant.name)
        return any(record.valid_at(self._now()) for record in found)


class Rates:
    """A bucket for each token: `rate` a second, `burst` at once."""

    def __init__(
        self, monotonic: Callable[[], float], rate: float = RATE, burst: float = BURST
    ) -> None:
        self._monotonic = monotonic
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> bool:
        """Whether one more request is within the rate."""
        now = self._monotonic()
        left, at = self._buckets.pop(name, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        allowed = left >= 1.0
        self._buckets[name] = (left - 1.0 if allowed else left, now)
        while len(self._buckets) > BUCKETS:
            self._buckets.popitem(last=False)
        return allowed


def bearer(header: str | None) -> str:
    """The token of an Authorization header; empty where there is none."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
