"""Case numbers: `YYYYMMDD-NNNN`, counted by the local day; a hand-back keeps its number."""

from __future__ import annotations

from collections import OrderedDict
from datetime import tzinfo

from bridge.domain.seen import Arrived

REMEMBERED = 200_000
"""Calls whose case is remembered for hand-backs: several weeks of a large city."""


class CaseNumbers:
    """Gives each arriving call its case."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._last: dict[str, int] = {}
        self._case_of_call: OrderedDict[str, str] = OrderedDict()
        self._known: set[str] = set()

    def remember(self, call: str, case: str) -> None:
        """A call of an earlier life of the daemon belongs to this case."""
        self._case_of_call[call] = case
        self._known.add(case)
        day, _, count = case.partition("-")
        if count.isdigit():
            self._last[day] = max(self._last.get(day, 0), int(count))
        while len(self._case_of_call) > REMEMBERED:
            _, gone = self._case_of_call.popitem(last=False)
            self._known.discard(gone)

    def knows(self, call: str) -> bool:
        """Whether that call has been recorded."""
        return call in self._case_of_call

    def number_for(self, seen: Arrived) -> tuple[str, bool]:
        """The case of this call, and whether it is new: it came back with one, or opens one."""
        known = self._case_of_call.get(seen.call) or self._case_of_call.get(seen.back)
        if known is None and seen.back in self._known:
            known = seen.back
        opens = known is None
        if known is None:
            day = seen.at.astimezone(self._zone).strftime("%Y%m%d")
            known = f"{day}-{self._last.get(day, 0) + 1:04d}"
        self.remember(seen.call, known)
        return known, opens
