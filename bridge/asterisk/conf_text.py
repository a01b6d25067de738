"""The text of one Asterisk configuration file: decoded, with comments told apart. Pure.

What Asterisk's own reader (`main/config.c`) does before it looks at a line, and pyst2 does not:
byte order mark, `;-- block comments --;`, `\\;`. Defect C1 of the libraries sheet.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
MAX_LINE_BYTES: Final = 8190
"""Asterisk reads lines into 8192 bytes and cuts what is longer in two."""
ESCAPED: Final = "\x01"
"""Stands for `\\;` until the line has been cut; the file itself may not hold control characters."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class ConfError(Exception):
    """A file that cannot be read as Asterisk would: where, what, and how to mend it."""

    def __init__(self, place: Place, message: str, mend: str) -> None:
        super().__init__(f"{place}: {message}; {mend}")
        self.place = place
        self.message = message
        self.mend = mend


def text_lines(data: bytes, file: str) -> list[str]:
    """The lines of `data`, one for one, without block comments.

    A line wholly inside a block comment comes out as an ordinary comment, so that its words can
    still describe what follows. `\\;` comes out as ESCAPED. Raises ConfError.
    """
    lines = _decode(data, file).split("\n")
    return _BlockComments(file).strip(lines)


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_FILE_BYTES:
        raise ConfError(Place(file, 1), f"file of {len(data)} bytes", "split it")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfError(Place(file, 1), "file is UTF-16", "save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(file, data.count(b"\n", 0, error.start) + 1)
        mend = "save it as UTF-8, for example: iconv -f GB18030 -t UTF-8"
        raise ConfError(place, f"{_guess(data)}, not UTF-8", mend) from error
    for number, line in enumerate(text.split("\n"), 1):
        if _CONTROL.search(line.removesuffix("\r")):
            raise ConfError(Place(file, number), "control character in the line", "remove it")
        if len(line.encode()) > MAX_LINE_BYTES:
            mend = f"keep lines under {MAX_LINE_BYTES} bytes"
            raise ConfError(Place(file, number), "Asterisk would cut this line in two", mend)
    return text


def _guess(data: bytes) -> str:
    try:
        data.decode("gb18030")
    except UnicodeDecodeError:
        return "bytes of an unknown encoding"
    return "bytes look like GBK"


class _BlockComments:
    """Takes out `;-- … --;`, which nest, as `main/config.c` does."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._opened: list[int] = []

    def strip(self, lines: list[str]) -> list[str]:
        kept = [self._line(line.removesuffix("\r"), n) for n, line in enumerate(lines, 1)]
        if self._opened:
            raise ConfError(
                Place(self._file, self._opened[-1]), "block comment never ends", "add --; after it"
            )
        return kept

    def _line(self, line: str, number: int) -> str:
        inside = bool(self._opened)
        kept, at = "", 0
        while (mark := line.find(";", at)) >= 0:
            opens = line.startswith(";--", mark) and not line.startswith(";---", mark)
            # `--;` closes only where its dashes are not those of the `;--` that opened it.
            closes = bool(self._opened) and line.endswith("--", at, mark)
            if not self._opened and line.endswith("\\", at, mark):
                kept += line[at : mark - 1] + ESCAPED
                at = mark + 1
            elif opens:
                kept += "" if self._opened else line[at:mark]
                self._opened.append(number)
                at = mark + 3
            elif closes:
                self._opened.pop()
                at = mark + 1
            elif self._opened:
                at = mark + 1
            else:  # an ordinary comment: the rest of the line is words
                return kept + line[at:].replace("\\;", ESCAPED)
        if not self._opened:
            kept += line[at:]
        if kept.strip():
            return kept
        if inside and self._opened:
            return f";{line}"
        return ";" if inside or self._opened else kept  # a bare mark is no blank line
