"""Lines of an AT device: cut from the stream, and the values of a result. Pure."""

from __future__ import annotations

import re
from typing import Final

MAX_LINE: Final = 4096
"""Bytes of one line; the longest real ones (SDS type 4 as hex, 2 047 bits) are 512."""
OVERLONG: Final = b"\x00overlong"
"""Stands for a line above MAX_LINE."""
_LINE_END: Final = re.compile(rb"\r\n?|\n")


class Framer:
    """Cuts bytes into lines ended by CR, LF or both; empty ones are left out.

    `prompt` makes `> ` at the beginning of a line a line of its own (3GPP TS 27.005, 3.5.1).
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0
        self._skipping = False
        self._after_cr = False
        self.prompt = False

    def add(self, data: bytes) -> None:
        """More bytes from the device."""
        self._buffer += data

    def next(self) -> bytes | None:
        """The next whole line; None: there is none yet. `OVERLONG` stands for one without end."""
        buffer = self._buffer
        while (found := _LINE_END.search(buffer, self._at)) is not None:
            start, end = self._at, found.start()
            self._at = found.end()
            self._after_cr = found[0] == b"\r"
            if self._skipping:
                self._skipping = False
            elif end - start > MAX_LINE:
                return OVERLONG
            elif end > start:
                return buffer[start:end]
        rest = buffer[self._at :]
        self._at = 0
        if self.prompt and not self._skipping and rest.startswith(b"> "):
            self._buffer = rest[2:]
            return b"> "
        self._buffer = rest
        if len(rest) > MAX_LINE:
            self._buffer = b""
            if not self._skipping:
                self._skipping = True
                return OVERLONG
        return None

    def take_rest(self) -> bytes:
        """What stands behind the last line, without the LF of its end; empty afterwards."""
        rest = self._buffer[self._at :]
        self._buffer = b""
        self._at = 0
        self._skipping = False
        return rest.removeprefix(b"\n") if self._after_cr else rest

    @property
    def wants_lf(self) -> bool:
        """The last line ended by CR and nothing came behind it yet."""
        return self._after_cr and self._at >= len(self._buffer)


def fields(line: str) -> list[str]:
    """The values of a result line: what stands after the colon, cut at commas outside quotes."""
    _, _, rest = line.partition(":")
    if '"' not in rest:
        return [value.strip() for value in rest.split(",")]
    values: list[str] = []
    quoted = False
    start = 0
    for at, character in enumerate(rest):
        if character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            values.append(rest[start:at].strip())
            start = at + 1
    values.append(rest[start:].strip())
    return [v[1:-1] if len(v) > 1 and v[0] == v[-1] == '"' else v for v in values]
