"""What is due next: a heap with lazy removal; a tick costs the same for ten or ten thousand.

The times themselves live in the records; this is only their index and can be made anew from them.
"""

from __future__ import annotations

import heapq
from datetime import datetime


class Due:
    """Next due time of each id. `set` and `pop` cost the logarithm of their number."""

    def __init__(self) -> None:
        self._when: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []

    def __len__(self) -> int:
        return len(self._when)

    def set(self, ident: str, when: datetime | None) -> None:
        """From now on `ident` is due at `when`; None: never."""
        if when is None:
            self._when.pop(ident, None)
        elif self._when.get(ident) != when:
            self._when[ident] = when
            heapq.heappush(self._heap, (when, ident))
            if len(self._heap) > 64 + 4 * len(self._when):
                self._heap = [(at, known) for known, at in self._when.items()]
                heapq.heapify(self._heap)

    def next(self) -> datetime | None:
        """The earliest due time, or None."""
        while self._heap and self._when.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: datetime, most: int) -> list[str]:
        """Up to `most` of what is due by `now`, earliest first; it is not due any more."""
        found: list[str] = []
        while len(found) < most and (when := self.next()) is not None and when <= now:
            _, ident = heapq.heappop(self._heap)
            del self._when[ident]
            found.append(ident)
        return found
