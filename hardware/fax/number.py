"""A number that is dialled: its hours, and whose identity answers there. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Final
from zoneinfo import ZoneInfo

SAME_DIGITS: Final = 7
"""A far identity that ends as the number dialled, in so many digits, is the unit's own."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When a job may be dialled, by the clock on the wall there; over midnight where it closes
    before it opens."""

    opens: time
    closes: time
    zone: ZoneInfo

    def hold(self, at: datetime) -> bool:
        """Whether that moment lies in them."""
        now = at.astimezone(self.zone).time()
        if self.opens <= self.closes:
            return self.opens <= now < self.closes
        return now >= self.opens or now < self.closes

    @staticmethod
    def parse(span: str, zone: str) -> Hours:
        """Of `08:00-18:00`. Raises ValueError."""
        opens, _, closes = span.partition("-")
        try:
            return Hours(time.fromisoformat(opens), time.fromisoformat(closes), ZoneInfo(zone))
        except (KeyError, OSError) as error:  # no such zone
            raise ValueError(f"{zone!r}: {error}") from error


def same_number(identity: str, number: str) -> bool:
    """Whether a far identity may be that of the number: their last digits are the same."""
    ours = "".join(c for c in number if c.isdigit())[-SAME_DIGITS:]
    theirs = "".join(c for c in identity if c.isdigit())[-SAME_DIGITS:]
    shorter = min(len(ours), len(theirs))
    return shorter > 0 and ours[-shorter:] == theirs[-shorter:]
