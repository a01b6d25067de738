"""A port as a link uses it: settings, modem lines, errors and what each kind of port can do."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

READ_SIZE: Final = 4096
"""Bytes taken from a port at once."""

HELD: Final = "被另一程序占用 / held by another program"
"""Stands in the words of a PortGone where that is why the port cannot be opened."""
_HELD: Final = (errno.EBUSY, errno.EAGAIN)

Backend = Literal["pyserial", "serialx"]
OnData = Callable[[bytes], None]
OnGone = Callable[[str], None]


class PortError(Exception):
    """The port cannot be used; the text names place and mend."""


class PortGone(PortError):
    """The device is away, refuses to open or belongs to another program."""


class NoModemLines(PortError):
    """This kind of port has no modem lines (pseudo-terminal, plain socket)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortSettings:
    """A port and how it is set.

    `name`: /dev/serial/by-id or by-path, our udev name, a built-in ttyS, a pty, `rfc2217://host:p`
    or `socket://host:p`. `rts` and `dtr` are their levels from the first moment a program can have
    them so; with `rtscts` the kernel moves RTS and `rts` says nothing.
    """

    name: str
    rate: int = 9600
    bits: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stop: Literal[1, 2] = 1
    rtscts: bool = False
    xonxoff: bool = False
    rts: bool = False
    dtr: bool = False
    backend: Backend = "pyserial"


@dataclass(frozen=True, slots=True)
class ModemLines:
    """Inputs of a port."""

    cts: bool
    dsr: bool
    ri: bool
    dcd: bool


class Port(Protocol):
    """An open port. Calls raise PortGone once it is away."""

    def start(self, on_data: OnData, on_gone: OnGone) -> None:
        """Begin to read; `on_gone` is called at most once, with the reason."""
        ...

    async def write(self, data: bytes) -> None:
        """Returns when the system has taken all of it."""
        ...

    async def set_lines(self, *, rts: bool | None = None, dtr: bool | None = None) -> None:
        """Raises NoModemLines where there are none."""
        ...

    async def lines(self) -> ModemLines:
        """Raises NoModemLines where there are none."""
        ...

    def watch_lines(self, changed: Callable[[], None]) -> None:
        """Call `changed` on the loop when an input may have moved, where the port tells it by
        itself (RFC 2217, sound chips, drivers with TIOCMIWAIT); others have to be looked at."""
        ...

    async def close(self) -> None:
        """Lines down, port given back. Never raises."""
        ...


def refused(settings: PortSettings, error: Exception) -> PortGone:
    """Opening failed."""
    held = getattr(error, "errno", None) in _HELD or "exclusively lock" in str(error)
    words = HELD if held else "无法打开 / cannot be opened"
    return PortGone(f"{settings.name}: {words} ({error})")
