"""What people and calls have decided about faxes: numbers that are not dialled, modems that rest.

A wrong fax number rings a person's telephone. VOICES calls in a row that a person answered close
the number, until somebody at the desk has put it right. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.domain.delivery import A, Cause, Progress
from bridge.domain.journal import Json

VOICES: Final = 2
_MACHINE: Final = frozenset({Cause.TRAINING_FAILED, Cause.REJECTED, Cause.CUT})
"""Causes that only a fax machine at the far end can bring about."""

Said = tuple[str, str, dict[str, Json]]
"""Kind, subject and data of a fact."""


def digits(number: str) -> str:
    """A number as it is compared, however it was written."""
    return "".join(sign for sign in number if sign.isdigit())


@dataclass(slots=True)
class FaxRules:
    """What holds now: a fold of `fax.*` facts."""

    paused: dict[str, str] = field(default_factory=dict)
    """Why each modem sends nothing; the empty name stands for all sending."""
    blocked: dict[str, str] = field(default_factory=dict)
    """Why each number is not dialled."""
    voices: dict[str, list[str]] = field(default_factory=dict)
    """Attempts that a person answered, of each number, since a machine last did."""

    def why_blocked(self, number: str) -> str:
        """Why that number is not dialled; empty words: it may be."""
        return self.blocked.get(digits(number), "")

    def apply(self, said: Said) -> None:
        """One fact more."""
        kind, subject, data = said
        if kind == "fax.paused":
            self.paused[subject] = str(data["reason"])
        elif kind == "fax.resumed":
            self.paused.pop(subject, None)
        elif kind == "fax.blocked":
            self.blocked[subject] = str(data["reason"])
        elif kind == "fax.unblocked":
            self.blocked.pop(subject, None)
            self.voices.pop(subject, None)
        elif kind == "fax.voice":
            self.voices.setdefault(subject, []).append(str(data["attempt"]))
        elif kind == "fax.machine":
            self.voices.pop(subject, None)

    def heard(self, told: Progress) -> list[Said]:
        """What the outcome of an attempt says of the number that was called."""
        number = digits(str(told.data.get("number") or ""))
        if not number:
            return []
        before = self.voices.get(number, [])
        if told.state is A.FAILED and told.cause is Cause.VOICE_ANSWERED:
            if told.attempt in before:
                return []
            times = len(before) + 1
            said: list[Said] = [("fax.voice", number, {"attempt": told.attempt, "times": times})]
            if times >= VOICES and number not in self.blocked:
                reason = f"连续 {times} 次由人接听 / a person answered {times} times"
                said.append(("fax.blocked", number, {"reason": reason}))
            return said
        machine = told.state in (A.DELIVERED, A.UNKNOWN) or told.cause in _MACHINE
        return [("fax.machine", number, {})] if machine and before else []

    def as_doc(self) -> dict[str, Any]:
        """For the store."""
        return {"paused": self.paused, "blocked": self.blocked, "voices": self.voices}

    @staticmethod
    def from_doc(doc: Mapping[str, Any]) -> FaxRules:
        """Inverse of `as_doc`."""
        return FaxRules(dict(doc["paused"]), dict(doc["blocked"]), dict(doc["voices"]))
