"""What a call tells while it lasts, for progress, traces and the modem board."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardware.fax.t30 import Report
from hardware.fax.t30_frames import Frame


@dataclass(frozen=True, slots=True)
class FrameSeen:
    """A frame of the session."""

    frame: Frame
    sent: bool


Watch = Callable[[Report | FrameSeen], None]


def unwatched(_: Report | FrameSeen) -> None:
    """Nobody looks."""
