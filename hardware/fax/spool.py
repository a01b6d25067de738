"""Received pages on the disk before the far machine is told that we have them.

A file a page, written and synced in the line's thread between the page and its MCF: the sender
waits T4 = 3 s for that. It goes once the page is in the journal of the port process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hardware.fax.page import write_tiff
from hardware.fax.received import ReceivedPage

_NAME: Final = re.compile(r"([0-9a-f]{32})-([0-9]{3})-((?:[0-9a-f]{2})*)\.tif")


@dataclass(frozen=True, slots=True)
class Kept:
    """One page of a call that came in."""

    name: str
    call: str
    number: int
    source: str
    tiff: bytes


class Spool:
    """The folder of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, page: ReceivedPage, call: str, number: int, source: str) -> str:
        """The name of the page's file, once it is on the disk. Raises OSError."""
        picture = page.page()
        name = f"{call}-{number:03d}-{source.encode().hex()}.tif"
        descriptor = os.open(
            self._folder / f".{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(write_tiff([picture]) if picture.height else b"")
            file.flush()
            os.fsync(file.fileno())
        (self._folder / f".{name}").replace(self._folder / name)
        self._sync()
        return name

    def left(self, known: Collection[str]) -> list[Kept]:
        """Pages of an earlier life that are in no journal, call by call. Files that are in it, or
        never became whole, go. Raises OSError."""
        pages = []
        for file in sorted(self._folder.iterdir()):
            found = _NAME.fullmatch(file.name)
            if file.name in known or file.name.startswith("."):
                file.unlink(missing_ok=True)
            elif found is not None:
                source = bytes.fromhex(found[3]).decode("utf-8", "replace")
                octets = file.read_bytes()
                pages.append(Kept(file.name, found[1], int(found[2]), source, octets))
        return pages

    def let_go(self, names: Iterable[str]) -> None:
        """Their pages are durable elsewhere. Raises OSError."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def _sync(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
