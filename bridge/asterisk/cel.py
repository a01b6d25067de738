"""Channel event logging: what happened while nobody watched, read from one file.

`cel_custom` writes a line an event, flushed. Rows after the last thing seen are translated into the
words of the domain and marked as learnt. The position in the file moves in the same transaction
as the facts it gave, so each row counts exactly once.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bridge.asterisk.translate import CASE, Translator, number
from bridge.domain.conversation import E
from bridge.domain.seen import (
    Accepted,
    Answered,
    AnySeen,
    Arrived,
    Born,
    Entered,
    Exited,
    Gone,
    Keyed,
    Noted,
    WantsCallback,
)

MAX_READ = 64 * 1024 * 1024
"""Octets taken in one go: some 400 000 rows, more than a day of a large room."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `bridge110.csv`, in the order of cel_custom.conf."""

    kind: str
    at: datetime
    unique: str
    linked: str
    channel: str
    user: str
    """Name of an event of the plan's own (CELGenUserEvent), else empty."""
    extra: str
    """JSON: bridge or cause; the plan's own words under `extra`."""
    context: str = ""
    """Where in the plan; at its beginning: the context by which the channel was made."""
    exten: str = ""
    """What it dialled, `s` where it was called itself. These two are empty in older files."""

    @property
    def words(self) -> list[str]:
        """The plan's own words: the case, then what belongs to the event."""
        return self.member("extra").split("/")

    def member(self, name: str) -> str:
        """A member of the JSON beside bridge and hang-up events; empty if absent."""
        return _extra(self.extra, name)

    @property
    def hangup_cause(self) -> int:
        """Q.850 cause of a HANGUP row; 0 where there is none."""
        return number(_extra(self.extra, "hangupcause"))


@dataclass(frozen=True, slots=True)
class Position:
    """How far the file has been read: its identity (device, inode) and the octet after it."""

    device: int
    inode: int
    offset: int

    def text(self) -> str:
        return f"{self.device}:{self.inode}:{self.offset}"

    @staticmethod
    def parse(text: str | None) -> Position | None:
        """Inverse of `text`; None for anything else."""
        parts = (text or "").split(":")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
            return None
        return Position(int(parts[0]), int(parts[1]), int(parts[2]))


def read_rows(path: Path, since: Position | None) -> tuple[list[Row], Position | None]:
    """Complete rows after `since`, and the new position. A file that was changed for another
    (rotated) is read from its start. Blocking: run it off the loop. No file: no rows."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            start = 0
            if since is not None and (since.device, since.inode) == (status.st_dev, status.st_ino):
                start = since.offset if since.offset <= status.st_size else 0
            file.seek(start)
            data = file.read(MAX_READ)
    except FileNotFoundError:
        return [], since
    whole = data.rfind(b"\n") + 1
    return list(parse_rows(data[:whole])), Position(status.st_dev, status.st_ino, start + whole)


def parse_rows(data: bytes) -> Iterator[Row]:
    """Rows of a piece of the file; lines that are none are passed over."""
    reader = csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline=""))
    for cells in reader:
        if len(cells) not in (7, 9):
            continue
        try:
            at = datetime.fromtimestamp(float(cells[1]), UTC)
        except (ValueError, OverflowError, OSError):
            continue
        yield Row(cells[0], at, *cells[2:])


class CelReader:
    """Translates rows. It remembers which channel is which leg, from the plan's own LEG rows."""

    def __init__(self, translator: Translator, call_of: Callable[[str], str | None]) -> None:
        self._translator = translator
        self._call_of = call_of
        self._bridges: dict[str, str] = {}

    def translate(self, row: Row, learnt: datetime) -> Iterator[AnySeen]:
        """Things seen in one row, marked as learnt."""
        if row.user:
            yield from self._user(row, learnt)
            return
        case = self._call_of(row.unique) or (row.linked if CASE.match(row.linked) else None)
        if case is None:
            return
        if row.kind in ("BRIDGE_ENTER", "ANSWER", "HANGUP") and row.unique != case:
            identity = self._translator.identity(row.channel, "")
            if identity is not None:
                role, name = identity
                yield Born(
                    call=case,
                    at=row.at,
                    learnt=learnt,
                    leg=row.unique,
                    channel=row.channel,
                    role=role,
                    name=name,
                )
        yield from self._plain(row, case, learnt)

    def _plain(self, row: Row, case: str, learnt: datetime) -> Iterator[AnySeen]:
        bridge = _extra(row.extra, "bridge_id")
        if row.kind == "ANSWER":
            yield Answered(call=case, at=row.at, learnt=learnt, leg=row.unique)
        elif row.kind == "BRIDGE_ENTER":
            yield Entered(call=case, at=row.at, learnt=learnt, leg=row.unique, bridge=bridge)
        elif row.kind == "BRIDGE_EXIT":
            yield Exited(call=case, at=row.at, learnt=learnt, leg=row.unique, bridge=bridge)
        elif row.kind == "HANGUP":
            cause = number(_extra(row.extra, "hangupcause"))
            yield Gone(call=case, at=row.at, learnt=learnt, leg=row.unique, cause=cause)

    def _user(self, row: Row, learnt: datetime) -> Iterator[AnySeen]:
        case, *rest = row.words
        parts = [case, *rest, "", "", ""]
        if not CASE.match(case):
            return
        if row.user == "CASE" and row.unique == case:
            yield Arrived(
                call=case,
                at=row.at,
                learnt=learnt,
                channel=row.channel,
                entry="12345" if parts[1] == "12345" else "110",
                number=parts[2],
                back=parts[3],
            )
        elif row.user == "KEY":
            yield Keyed(call=case, at=row.at, learnt=learnt, leg=row.unique, handoff=parts[2])
        elif row.user == "LEG":
            identity = self._translator.identity(row.channel, parts[1])
            if identity is not None:
                role, name = identity
                yield Born(
                    call=case,
                    at=row.at,
                    learnt=learnt,
                    leg=row.unique,
                    channel=row.channel,
                    role=role,
                    name=name,
                    handoff=parts[2] or None,
                )
            yield Answered(call=case, at=row.at, learnt=learnt, leg=row.unique)
            yield Accepted(call=case, at=row.at, learnt=learnt, leg=row.unique)
        elif row.user in _NOTES:
            cause = number(parts[1])
            yield Noted(
                call=case,
                at=row.at,
                learnt=learnt,
                what=_NOTES[row.user],
                leg=row.unique,
                cause=cause,
            )
        elif row.user == "CALLBACK":
            yield WantsCallback(call=case, at=row.at, learnt=learnt)


_NOTES = {"ALONE": E.CITIZEN_ALONE, "GOODBYE": E.GOODBYE}


def _extra(extra: str, name: str) -> str:
    """A member of the JSON that CEL puts beside bridge and hang-up events; empty if absent."""
    try:
        found = json.loads(extra)
    except (ValueError, RecursionError):
        return ""
    value = found.get(name, "") if isinstance(found, dict) else ""
    return str(value)
