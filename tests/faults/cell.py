"""One cell of the matrix, what was seen in it, and whether that is as promised. Pure.

The promises are those of the architecture, section 1: no citizen dropped, silence bounded, no
handoff lost, no voice act twice, the truth on the desk soon after each fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Fate = Literal["alive", "left", "ended", "lost_with_asterisk", "dropped"]
"""Of the citizen, by the citizen's own telephone: still in the call; put the handset down; was
told goodbye after the last other party (or the desk) ended it; Asterisk itself was killed;
anything else."""

SILENCE_MS: Final = 1_000
DEAD_PHONE_MS: Final = 1_500
"""Where a telephone dies without a word."""
BOTH_DEAD_MS: Final = 2_500
"""Where a telephone and the daemon are dead: `rtp_timeout` (2 s) and half a second. README.md: who
keeps it."""
TRUTH_S: Final = 3.0
LATE: Final = "truth after"
"""How words begin that tell of a promise kept, but late."""
RETURN_S: Final = 5.0
"""After the return of Asterisk: case, number and call-back."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a fault may cost."""

    silence_ms: int = SILENCE_MS
    truth_s: float = TRUTH_S
    may_end: bool = False
    """The fault is an ordinary end of the conversation: a goodbye is no drop."""
    may_leave: bool = False
    """The citizen hangs up or dies."""
    asterisk: bool = False
    """Asterisk is killed."""


@dataclass(frozen=True, slots=True)
class Line:
    """A cell as it is printed. `truth_s` is None when the truth never came."""

    cell: str
    state: str
    fault: str
    citizen: Fate
    silence_ms: int
    handoffs_lost: int
    double_acts: int
    truth_s: float | None
    seed: int | None = None
    detail: str = ""
    shown: int | None = None
    """Things that people were told before the daemon was killed, and how many of them are not told
    any more; where that was looked at."""
    lost: int = 0

    def json(self) -> dict[str, Any]:
        """As architecture section 6 has it; `seed` for random runs, `shown` and `lost` for kills,
        `detail` where something is to be said."""
        found: dict[str, Any] = {
            "cell": self.cell,
            "state": self.state,
            "fault": self.fault,
            "citizen": self.citizen,
            "silence_ms": self.silence_ms,
            "handoffs_lost": self.handoffs_lost,
            "double_acts": self.double_acts,
            "truth_s": self.truth_s,
        }
        if self.seed is not None:
            found["seed"] = self.seed
        if self.shown is not None:
            found |= {"shown": self.shown, "lost": self.lost}
        if self.detail:
            found["detail"] = self.detail
        return found


def broken(line: Line, bounds: Bounds) -> list[str]:
    """The promises that were not kept, in words; empty when all is well."""
    found = []
    allowed: set[Fate] = {"alive"}
    if bounds.may_end:
        allowed.add("ended")
    if bounds.may_leave:
        allowed = {"left"}
    if bounds.asterisk:
        allowed = {"lost_with_asterisk"}
    if line.citizen not in allowed:
        found.append(f"citizen {line.citizen}")
    if line.silence_ms > bounds.silence_ms:
        found.append(f"silence {line.silence_ms} ms > {bounds.silence_ms}")
    if line.handoffs_lost:
        found.append(f"{line.handoffs_lost} handoffs lost")
    if line.double_acts:
        found.append(f"{line.double_acts} acts twice")
    if line.lost:
        found.append(f"{line.lost} things shown were lost")
    if line.truth_s is None:
        found.append("truth never shown")
    elif line.truth_s > bounds.truth_s:
        found.append(f"{LATE} {line.truth_s:.1f} s > {bounds.truth_s:g}")
    return found
