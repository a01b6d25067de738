"""Requests that were given up while their commit was open: they may be in the journal, or not.

Whatever is recorded meanwhile comes after them in the journal. So when such a request turns out to
be stored, the record is what its facts and then everything since make of it, in this order.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.domain.call import Book
from bridge.domain.journal import Fact


class Doubts:
    """At most one open request a call or seat; those that follow are refused until it is known."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Book, list[Fact]]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._open

    def open(self, name: str, draft: Book) -> None:
        """The request about this call or seat is open; `draft` is the record with its facts."""
        self._open[name] = (draft, [])

    def recorded(self, facts: Sequence[Fact]) -> None:
        """These come after whatever is open."""
        if not self._open:
            return
        for fact in facts:
            for name in (fact.call, fact.subject):
                if name in self._open:
                    self._open[name][1].append(fact)

    def stored(self, name: str) -> Book:
        """It was stored: the record as the journal tells it."""
        draft, since = self._open.pop(name)
        for fact in since:
            draft.apply(fact)
        return draft

    def refused(self, name: str) -> None:
        """It was not stored: the record is as if nobody had asked."""
        del self._open[name]
