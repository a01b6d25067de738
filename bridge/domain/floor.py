"""Who has the floor between a conversation and a half-duplex radio. Pure.

The transmitter is wanted while somebody of the conversation talks and for a moment after that, so
that a pause between two words does not drop it. While the radio talks nobody keys over it; whoever
still talks afterwards gets the air then. After the time-out timer, or any end that was not asked
for, the floor is the radio's until everybody here has been silent once.
Times are seconds of any steady clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Floor:
    """One radio in one conversation. `hang_s`: how long the key is held after the last word."""

    hang_s: float
    _talking: set[str] = field(default_factory=set)
    _until: float = float("-inf")
    _radio_talks: bool = False
    _keyed: bool = False
    _spent: bool = False

    def talks(self, leg: str, on: bool, now: float) -> None:
        """A leg of the conversation, not the radio's own, began or ended to talk."""
        if on:
            self._talking.add(leg)
        elif leg in self._talking:
            self._talking.discard(leg)
            if not self._talking:
                self._until = now + self.hang_s
                self._spent = False

    def radio(self, open_: bool) -> None:
        """The radio talks, or has ended. What it tells while we send is our own carrier."""
        self._radio_talks = open_

    def keyed(self, on: bool) -> None:
        """The key is held for us, or was let go as we wanted."""
        self._keyed = on

    def ended(self) -> None:
        """The key was taken from us: time-out timer, a channel busy for too long, a lost radio."""
        self._keyed, self._spent = False, bool(self._talking)
        self._until = float("-inf")

    def wanted(self, now: float) -> bool:
        """Whether the key is to be held now."""
        if self._spent or (self._radio_talks and not self._keyed):
            return False
        return bool(self._talking) or now < self._until

    def deadline(self, now: float) -> float | None:
        """When `wanted` will change by time alone."""
        return self._until if not self._talking and now < self._until else None
