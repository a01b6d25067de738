"""The ladder as data: which wires after one another, how long each, how often a try is repeated.

Defaults of the orders sheet, section 3; a unit's own ladder replaces them (`config/units.toml`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bridge.domain.delivery import Cause, ChannelKind
from bridge.domain.journal import Json

URGENT, GENERAL = "URGENT", "GENERAL"


class To(StrEnum):
    """Whom a step calls."""

    UNIT = "unit"
    LEADER = "leader"  # the shift leader of the unit, by phone
    ABOVE = "above"  # the unit above: its deputy, the next contact


@dataclass(frozen=True, slots=True)
class Step:
    """Wires that are tried at once. After `over_s` seconds the next step starts beside them."""

    channels: tuple[ChannelKind, ...]
    over_s: int
    to: To = To.UNIT


_T, _P, _R, _S, _F, _M = ChannelKind

DEFAULT: dict[str, tuple[Step, ...]] = {
    URGENT: (
        Step((_T, _P), 60),
        Step((_R,), 60),
        Step((_F, _S), 90),
        Step((_P,), 60, To.LEADER),
        Step((_T, _P), 60, To.ABOVE),
    ),
    GENERAL: (
        Step((_T,), 300),
        Step((_R,), 180),
        Step((_F,), 300),
        Step((_P,), 300),
        Step((_M,), 900),
    ),
}

NEXT_CONTACT = Step((_T, _P), 60, To.ABOVE)
"""Who is called when a ladder without the unit above has come to its end."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What follows a failed try: `tries` in all of that cause in one chain, `seconds` before the
    next; the last of `seconds` holds for all later ones."""

    seconds: tuple[int, ...]
    tries: int

    def before(self, failed: int) -> int | None:
        """Seconds before the next try after `failed` tries with this cause; None: no more."""
        if failed >= self.tries:
            return None
        return self.seconds[min(failed, len(self.seconds)) - 1]


ONCE = Wait((0,), 1)

WAITS: dict[tuple[ChannelKind, Cause], Wait] = {
    (_P, Cause.BUSY): Wait((20,), 3),
    (_P, Cause.NO_ANSWER): Wait((40,), 2),
    (_P, Cause.CONGESTION): Wait((5,), 5),
    (_F, Cause.BUSY): Wait((60,), 3),
    (_F, Cause.NO_ANSWER): Wait((120,), 2),
    (_F, Cause.CONGESTION): Wait((5,), 5),
    (_F, Cause.TRAINING_FAILED): Wait((30,), 2),
    (_F, Cause.CUT): Wait((15,), 3),
    (_R, Cause.NOT_REGISTERED): Wait((15,), 4),
    (_R, Cause.QUEUE_FULL): Wait((5,), 5),
    (_S, Cause.NOT_REGISTERED): Wait((15,), 4),
    (_S, Cause.QUEUE_FULL): Wait((5,), 5),
    (_M, Cause.DEFERRED): Wait((60, 300, 900), 20),
}
"""Every other pair is ONCE: a machine, a voice on the fax, 5xx of mail, a terminal that is off."""


def wait_after(channel: ChannelKind, cause: Cause | None, failed: int) -> int | None:
    """Seconds before the next try of a chain; `failed` counts its tries with this cause."""
    return WAITS.get((channel, cause) if cause else (channel, Cause.ERROR), ONCE).before(failed)


def ladder_of(klass: str) -> tuple[Step, ...]:
    """The default ladder of a class; an unknown class is GENERAL."""
    return DEFAULT.get(klass, DEFAULT[GENERAL])


def steps_doc(steps: tuple[Step, ...]) -> list[Json]:
    """Steps as JSON, for the journal."""
    return [
        {"channels": [c.value for c in step.channels], "over_s": step.over_s, "to": step.to.value}
        for step in steps
    ]


def steps_from(doc: Any) -> tuple[Step, ...]:
    """Inverse of `steps_doc`."""
    return tuple(
        Step(tuple(ChannelKind(c) for c in one["channels"]), int(one["over_s"]), To(one["to"]))
        for one in doc
    )
