"""Who is on the air around an emulated terminal: sets that report, read and answer as scripted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Set:
    """One radio in the field. Delays are seconds after the message reached it.

    `on` false: switched off, the network still takes messages for it. `stored`: the network says
    that it keeps them. `failure` is a delivery status (40–5F) that comes instead of a report.
    `short` reports by pre-coded status. `reply_status` and `reply_text` are what its user answers.
    """

    on: bool = True
    received: bool = True
    consumed: bool = True
    short: bool = False
    stored: bool = False
    failure: int | None = None
    doubled: bool = False
    reordered: bool = False
    delay_s: float = 0.02
    read_s: float = 0.02
    reply_s: float = 0.02
    reply_status: int | None = None
    reply_text: str | None = None


@dataclass(slots=True)
class Air:
    """The sets by their number; one that nobody described behaves as `Set()` does.

    `witness` is told of everything: heard or said, the set's number, the octets.
    """

    sets: dict[str, Set] = field(default_factory=dict)
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    """Everything that reached a set that is on: (number, octets)."""
    witness: Callable[[str, str, bytes], None] = lambda *_: None

    def of(self, number: str) -> Set:
        """The set with this number."""
        return self.sets.setdefault(number, Set())

    def hear(self, number: str, data: bytes) -> None:
        """Octets reach a set that is on."""
        self.heard.append((number, data))
        self.witness("heard", number, data)

    def say(self, number: str, data: bytes) -> None:
        """A set's user answers, or writes by himself."""
        self.witness("said", number, data)
