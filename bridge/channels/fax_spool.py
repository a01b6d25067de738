"""Faxes that Asterisk has received: taken from its spool, kept, read, and told of.

A file stays in the spool until all of its pages are durable. What came while the daemon was away is
found there afterwards; without the switch's word that it is whole, a person looks.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from bridge.channels.fax import ReadPages, page_name, page_received
from bridge.channels.fax_files import keep
from bridge.domain.fax import FaxIn
from bridge.flows.calls import Spawn
from bridge.flows.fax_ports import FaxLines
from bridge.flows.ports import ActRefused, ActUnknown, FromChannel

_log = structlog.get_logger(__name__)

MAX_FILE: Final = 32 << 20
"""Octets of a file that is looked at: an hour of V.17."""


class FaxSpool:
    """Empties the directory `place`. Files of calls that are still up are left alone."""

    def __init__(
        self,
        place: Path,
        inbox: Path,
        read: ReadPages,
        tell: FromChannel,
        switch: FaxLines,
        spawn: Spawn,
    ) -> None:
        self._place = place
        self._inbox = inbox
        self._read = read
        self._tell = tell
        self._switch = switch
        self._spawn = spawn
        self._one = asyncio.Lock()

    def came(self, fax: FaxIn, at: datetime) -> None:
        """A call has ended, and this is what the switch says of it. Never blocks."""
        self._spawn(self._take(fax, at), f"fax from {fax.call}")

    def settled(self) -> None:
        """What happened while nobody watched has been said: take what is left over."""
        self._spawn(self._sweep(), "fax spool")

    async def _sweep(self) -> None:
        try:
            up = await self._switch.up()
        except (ActRefused, ActUnknown) as error:
            _log.warning("fax.spool_not_swept", reason=str(error))
            return
        for call, at in await asyncio.to_thread(_files, self._place):
            if call not in up:
                await self._take(_unsaid(call), at)

    async def _take(self, fax: FaxIn, at: datetime) -> None:
        """One file, under a lock: the same is not taken twice."""
        async with self._one:
            file = self._place / f"{fax.call}.tif"
            try:
                data = await asyncio.to_thread(_content, file)
                if data is None:
                    return
                await self._hand_on(fax, at, data)
                await asyncio.to_thread(file.unlink)
            except OSError as error:  # it stays; the next login finds it again
                _log.error("fax.not_kept", call=fax.call, reason=str(error))

    async def _hand_on(self, fax: FaxIn, at: datetime, data: bytes) -> None:
        """Durable when it returns. Raises OSError."""
        source = fax.far or fax.caller
        document = {"document": sha256(data).hexdigest()[:16]}
        name = page_name(document, at, 0)
        await asyncio.to_thread(keep, self._inbox / name, data)
        pages = await self._read(self._inbox / name)
        _log.info("fax.received", file=name, source=source, pages=len(pages), words=fax.words)
        for number, page in enumerate(pages, 1):
            words = "" if fax.whole else _NOT_WHOLE
            words = words or page.trouble
            told = page_received(source, at, name, page, words, f"{name}.{number}")
            await self._tell.received(told)


_NOT_WHOLE: Final = "传真不完整 / not complete"


def _unsaid(call: str) -> FaxIn:
    """A file of which the switch said nothing."""
    return FaxIn(call=call, caller="", pages=0, rate=0, mode="", status="", words="", far="")


def _files(place: Path) -> Sequence[tuple[str, datetime]]:
    """Calls that left a file, and when it was last written to."""
    return [
        (file.stem, datetime.fromtimestamp(file.stat().st_mtime, UTC))
        for file in sorted(place.glob("*.tif"))
    ]


def _content(file: Path) -> bytes | None:
    """The file; None where no page came. Raises OSError."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        data = opened.read(MAX_FILE)
    if not data:
        file.unlink()
        return None
    return data
