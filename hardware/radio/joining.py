"""Long texts put together from their parts, and messages that come twice. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MAX_SETS: Final = 64
"""Texts that wait for parts; the oldest is given up for a new one."""
MAX_SEEN: Final = 512


@dataclass(frozen=True, slots=True)
class Joined:
    """A text with what was missing of it, `…` in each gap. `tokens` are those of its parts."""

    source: str
    text: str
    whole: bool
    tokens: tuple[str, ...] = ()


@dataclass(slots=True)
class _Set:
    since: float
    parts: dict[int, str] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)


class Joiner:
    """Collects parts by (sender, group, total); order is free (PEI sheet, 9.6)."""

    def __init__(self, keep_s: float = 300.0) -> None:
        self._keep_s = keep_s
        self._sets: dict[tuple[str, int, int], _Set] = {}

    def add(
        self,
        source: str,
        group: int,
        total: int,
        number: int,
        text: str,
        now: float,
        token: str | None = None,
    ) -> list[Joined]:
        """What became complete, or was given up for want of room."""
        out: list[Joined] = []
        key = (source, group, total)
        found = self._sets.get(key)
        if found is None:
            if len(self._sets) >= MAX_SETS:
                out.append(self._give_up(next(iter(self._sets))))
            found = self._sets[key] = _Set(now)
        found.parts[number] = text
        if token is not None:
            found.tokens[number] = token
        if len(found.parts) == total:
            out.append(self._give_up(key))
        return out

    def expire(self, now: float) -> list[Joined]:
        """Sets whose missing parts did not come in time."""
        if not self._sets:
            return []
        late = [key for key, found in self._sets.items() if now - found.since >= self._keep_s]
        return [self._give_up(key) for key in late]

    def _give_up(self, key: tuple[str, int, int]) -> Joined:
        found = self._sets.pop(key)
        text = "".join(found.parts.get(n, "…") for n in range(1, key[2] + 1))
        tokens = tuple(found.tokens[n] for n in sorted(found.tokens))
        return Joined(key[0], text, len(found.parts) == key[2], tokens)


class Repeats:
    """Says whether the same octets came from the same sender within the window (Azart sends each
    message four times; PEI sheet, 14)."""

    def __init__(self, window_s: float = 60.0) -> None:
        self._window_s = window_s
        self._seen: dict[tuple[str, bytes], float] = {}

    def seen(self, source: str, data: bytes, now: float) -> bool:
        """True for a repeat; the first one is remembered."""
        while self._seen:
            oldest, at = next(iter(self._seen.items()))
            if now - at < self._window_s and len(self._seen) <= MAX_SEEN:
                break
            del self._seen[oldest]
        if (source, data) in self._seen:
            return True
        self._seen[source, data] = now
        return False
