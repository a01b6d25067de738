"""The closing code of an order: seven random digits and a Damm check digit.

The check digit finds every single wrong digit and every swap of neighbours (Damm 2004), so a slip
of the finger is told from a guess. Comparing with the unit's open orders is done in constant time;
five wrong tries within an hour close that way for an hour (orders sheet, section 2).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

DIGITS = 7
"""Random digits before the check digit."""
WRONG_TRIES = 5
CLOSED_FOR = timedelta(hours=1)
WAYS_KEPT = 10_000
"""Ways (units and unknown sources) whose wrong tries are remembered; the oldest go first."""

# The totally anti-symmetric quasigroup of order 10 in Damm's thesis.
_TABLE = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)
_CODE = re.compile(r"(?<![0-9])[0-9]{8}(?![0-9])")


def _interim(digits: str) -> int:
    state = 0
    for digit in digits:
        state = _TABLE[state][int(digit)]
    return state


def make_code(number: int) -> str:
    """The code of a random number below ten millions. Raises ValueError for any other."""
    if not 0 <= number < 10**DIGITS:
        raise ValueError(f"a closing code is made of a number below {10**DIGITS}")
    digits = f"{number:0{DIGITS}d}"
    return digits + str(_interim(digits))


def is_code(text: str) -> bool:
    """Whether `text` can be a closing code at all: eight digits whose check digit is right."""
    return len(text) == DIGITS + 1 and text.isascii() and text.isdigit() and _interim(text) == 0


def codes_in(text: str) -> list[str]:
    """Codes that stand in a text as words of their own, each once, in order."""
    return list(dict.fromkeys(code for code in _CODE.findall(text) if is_code(code)))


def order_of_code(code: str, open_orders: Iterable[tuple[str, str]]) -> str | None:
    """The order whose code this is, among (order, code) of one unit's open orders.

    Every pair is compared, each in constant time: how long it takes tells nothing.
    """
    found = None
    given = code.encode("utf-8", "surrogatepass")
    for order, right in open_orders:
        if hmac.compare_digest(right.encode(), given):
            found = order
    return found


def _keep(table: dict[str, T], way: str, value: T) -> None:
    table.pop(way, None)
    table[way] = value
    while len(table) > WAYS_KEPT:
        table.pop(next(iter(table)))


@dataclass(slots=True)
class Tries:
    """Wrong tries of each way (a unit, or an unknown source) within the hour, and closed ways."""

    wrong: dict[str, list[datetime]] = field(default_factory=dict)
    closed: dict[str, datetime] = field(default_factory=dict)

    def is_closed(self, way: str, now: datetime) -> bool:
        """Whether that way is closed at present."""
        until = self.closed.get(way)
        return until is not None and now < until

    def note_wrong(self, way: str, at: datetime) -> bool:
        """Count a wrong try. True when it closes the way."""
        recent = [one for one in self.wrong.pop(way, ()) if at - one < CLOSED_FOR] + [at]
        if len(recent) >= WRONG_TRIES:
            _keep(self.closed, way, at + CLOSED_FOR)
            return True
        _keep(self.wrong, way, recent)
        return False

    def note_right(self, way: str) -> None:
        """A right code or PIN: what went before were slips."""
        self.wrong.pop(way, None)

    def as_doc(self) -> dict[str, dict[str, list[str] | str]]:
        """Plain texts, to be stored."""
        return {
            "wrong": {way: [one.isoformat() for one in tries] for way, tries in self.wrong.items()},
            "closed": {way: until.isoformat() for way, until in self.closed.items()},
        }

    @classmethod
    def from_doc(cls, doc: Mapping[str, Mapping[str, list[str] | str]]) -> Tries:
        """Inverse of `as_doc`."""
        moment = datetime.fromisoformat
        return cls(
            {way: [moment(one) for one in tries] for way, tries in doc["wrong"].items()},
            {way: moment(str(until)) for way, until in doc["closed"].items()},
        )
