"""Names of a call's files: `<CASE>-<LEG>-<start ms since epoch>.wav`, and nothing else.

The dialplan makes these names from the citizen's Uniqueid, the leg's label and the clock
(`asterisk-three-way.md`, section 3). Everything that reads a track starts from such a name, parsed
here whole: a name that is not exactly of this form is no track, whatever the directory holds
(guard.md, S11). What this package makes itself has names of its own beside them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

MAX_NAME: Final = 240
"""Longest name of a track in bytes (all are ASCII): 255 less what a made file's name adds."""
MAX_LEG: Final = 64
"""Longest leg label; the longest in use is `leader-` and a number of 16 digits."""

# Uniqueid: system name of up to 127 characters where one is set, seconds since epoch, counter.
# Only it has a dot, a label begins with a letter and the start has 13 digits: one way to read it.
_CASE: Final = r"(?:[A-Za-z0-9_-]{1,127}-)?[0-9]{1,12}\.[0-9]{1,10}"
_LEG: Final = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
_CASE_FORM: Final = re.compile(_CASE)
_LEG_FORM: Final = re.compile(_LEG)
_TRACK_FORM: Final = re.compile(rf"({_CASE})-({_LEG})-([1-9][0-9]{{12}})\.wav")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BadName(ValueError):
    """Not the name of a track, a call or a leg. The text shows the name cut and escaped."""

    def __init__(self, what: str, text: str, mend: str) -> None:
        shown = ascii(text[:60]) + ("..." if len(text) > 60 else "")
        super().__init__(f"{what} {shown}: {mend}")


@dataclass(frozen=True, slots=True)
class TrackName:
    """What a track's file name says. `started_ms` is the switch's wall clock, ms since epoch."""

    case: str
    leg: str
    started_ms: int

    def __str__(self) -> str:
        return f"{self.case}-{self.leg}-{self.started_ms:d}.wav"

    @property
    def started(self) -> datetime:
        """The start as a UTC time."""
        return moment(self.started_ms)

    @property
    def repaired(self) -> str:
        """Name of the repaired copy."""
        return f"{self.case}-{self.leg}-{self.started_ms:d}.repaired.wav"


def parse(text: str) -> TrackName:
    """The parts of a track's file name. Raises BadName unless `str()` gives it back as it is."""
    found = _TRACK_FORM.fullmatch(text) if len(text) <= MAX_NAME else None
    if found is None or len(found[2]) > MAX_LEG:
        raise BadName("track", text, "needs the form <case>-<leg>-<13 digits>.wav")
    return TrackName(found[1], found[2], int(found[3]))


def check_case(text: str) -> str:
    """`text` if it is a call's id (Asterisk's Uniqueid). Raises BadName."""
    if len(text) > MAX_NAME or _CASE_FORM.fullmatch(text) is None:
        raise BadName("call", text, "needs a Uniqueid, like 1732412345.17")
    return text


def check_leg(text: str) -> str:
    """`text` if it is a leg's label. Raises BadName."""
    if len(text) > MAX_LEG or _LEG_FORM.fullmatch(text) is None:
        raise BadName("leg", text, "needs lower-case letters, digits and single hyphens")
    return text


def joined_name(case: str) -> str:
    """Name of the file with all voices of a call. Raises BadName."""
    return f"{check_case(case)}-joined.wav"


def is_made(text: str) -> bool:
    """Whether this package makes files of this name: joined files and repaired copies."""
    if len(text) > MAX_NAME + len(".repaired"):
        return False
    if text.endswith("-joined.wav"):
        return _CASE_FORM.fullmatch(text.removesuffix("-joined.wav")) is not None
    if text.endswith(".repaired.wav"):
        return _TRACK_FORM.fullmatch(text.removesuffix(".repaired.wav") + ".wav") is not None
    return False


def moment(ms: int) -> datetime:
    """Milliseconds since epoch as a UTC time."""
    return _EPOCH + timedelta(milliseconds=ms)


def milliseconds(time: datetime) -> int:
    """A time as milliseconds since epoch, rounded down."""
    return (time - _EPOCH) // timedelta(milliseconds=1)
