"""Orders by fax: through the port process, which owns the modems.

*Delivered* is what the far machine has confirmed, page by page; it is a machine's word. A page
that was sent and not confirmed is *unknown*: the far end may have printed it. A returned sheet
says what its ticked box says; anything else that comes in goes to a person.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from bridge.channels.fax_files import keep
from bridge.channels.ports_client import PortsRefused
from bridge.channels.radio import GatewayChannel, Ports
from bridge.domain.delivery import A, Cause, ChannelKind, Job, OrderSheet, Received, Says
from bridge.domain.paper import Paper, PaperError
from bridge.flows.ports import Clock, FromChannel

_log = structlog.get_logger(__name__)

_NAME: Final = re.compile(r"[0-9a-f]{1,64}")
_MAX_PAGES: Final = 1_000

MakePaper = Callable[[OrderSheet], Awaitable[Paper]]


class Reading(Protocol):
    """What was read on a page that came back."""

    @property
    def order(self) -> str | None: ...
    @property
    def code(self) -> str | None: ...
    @property
    def says(self) -> Says: ...
    @property
    def trouble(self) -> str: ...


ReadPage = Callable[[Path], Awaitable[Reading]]
"""Reads the file of one page. Raises nothing for what stands in it."""
ReadPages = Callable[[Path], Awaitable[Sequence[Reading]]]
"""The same for a file of several, one reading a page; one in all where it cannot be read."""


class Rules(Protocol):
    """What the fax desk has decided."""

    def why_blocked(self, number: str) -> str:
        """Why that number is not dialled; empty words: it may be."""
        ...


@dataclass(frozen=True, slots=True)
class FaxPolicy:
    """How a site sends. `rules` gives those that hold now. `hours` of a job (`08:00-18:00`, in the
    zone; empty: at any hour) hold for what is neither urgent nor green. `sent`: where a copy of
    each sheet is kept, for its confirmation."""

    rules: Callable[[], Rules]
    hours: Callable[[Job], str]
    zone: str
    sent: Path


class FaxChannel(GatewayChannel):
    """The wire `fax`: the order's sheet instead of its words."""

    def __init__(
        self,
        client: Ports,
        paper: MakePaper,
        tell: FromChannel,
        clock: Clock,
        policy: FaxPolicy,
    ) -> None:
        super().__init__(ChannelKind.FAX, client, tell, clock)
        self._paper = paper
        self._policy = policy

    async def send(self, job: Job) -> None:
        """Draw the sheet and hand it over; returns when the port process has written it down."""
        try:
            await super().send(job)
        except PaperError as error:
            await self._told(job.attempt, A.FAILED, Cause.ERROR, str(error))

    async def _carried(self, job: Job) -> dict[str, str]:
        address = dialled(job, self._policy.rules())
        paper = await self._paper(job.sheet)
        await self._keep_copy(job.attempt, paper.tiff)
        carried = {"address": address, "text": base64.b64encode(paper.tiff).decode()}
        if hours := self._policy.hours(job):
            carried |= {"hours": hours, "zone": self._policy.zone}
        return carried

    async def _keep_copy(self, attempt: str, tiff: bytes) -> None:
        """For the confirmation; an order goes out without it too."""
        try:
            await asyncio.to_thread(keep, self._policy.sent / sent_name(attempt), tiff)
        except OSError as error:
            _log.error("fax.copy_not_kept", attempt=attempt, reason=str(error))


def dialled(job: Job, rules: Rules) -> str:
    """The number that this try calls: the first that is not closed. Raises PortsRefused with the
    reason where all are."""
    reasons = []
    for number in job.addresses:
        why = rules.why_blocked(number)
        if not why:
            return number
        reasons.append(f"{number}: {why}")
    raise PortsRefused(Cause.REFUSED.value, f"号码已停拨 / not dialled: {'; '.join(reasons)}")


def sent_copy(folder: Path, attempt: str) -> bytes:
    """What an attempt sent; empty where no copy can be read."""
    try:
        return (folder / sent_name(attempt)).read_bytes()
    except OSError as error:
        _log.warning("fax.copy_not_read", attempt=attempt, reason=str(error))
        return b""


def sent_name(attempt: str) -> str:
    """The file of what an attempt sent."""
    return f"sent-{re.sub(r'[^A-Za-z0-9._-]', '_', attempt)}.tif"


class FaxInbox:
    """Pages that came in: kept, read, and told of."""

    def __init__(self, inbox: Path, read: ReadPage, tell: FromChannel) -> None:
        self._inbox = inbox
        self._read = read
        self._tell = tell

    async def take(self, body: Mapping[str, Any], seq: int) -> None:
        """Keep the page, then tell what it says. Durable when it returns; raises OSError where the
        page cannot be kept: it is said again then."""
        at = datetime.fromisoformat(str(body["at"]))
        name = page_name(body, at, seq)
        words = "" if body.get("whole") else "传真不完整 / not complete"
        try:
            tiff = base64.b64decode(str(body.get("tiff", "")), validate=True)
        except binascii.Error:
            tiff = b""
        reading: Reading | None = None
        if tiff:
            await asyncio.to_thread(keep, self._inbox / name, tiff)
            reading = await self._read(self._inbox / name)
        else:
            words = words or "页面无法保存 / the page could not be kept"
        if reading is not None:
            words = words or reading.trouble
        _log.info("fax.received", file=name, source=str(body.get("source", ""))[:20], words=words)
        source = str(body.get("source", ""))[:20]
        page = page_received(source, at, name, reading, words)
        await self._tell.received(page if tiff else replace(page, attachments=()))


def page_received(
    source: str, at: datetime, file: str, reading: Reading | None, words: str, key: str = ""
) -> Received:
    """What a page that was kept in `file` says. With `words`, or unread, a person looks."""
    return Received(
        channel=ChannelKind.FAX,
        source=source,
        at=at,
        key=key or file,
        says=reading.says if reading is not None and not words else Says.NOTHING,
        order=reading.order if reading is not None else None,
        code=reading.code if reading is not None else None,
        words=words,
        attachments=(file,),
    )


def page_name(body: Mapping[str, Any], at: datetime, seq: int) -> str:
    """The file of a page: when, which document, which page; the same for the same page."""
    document = str(body.get("document", ""))
    document = document if _NAME.fullmatch(document) else f"{seq:x}"
    page = body.get("page")
    number = page if isinstance(page, int) and 0 < page < _MAX_PAGES else 0
    return f"fax-{at.strftime('%Y%m%dT%H%M%S')}-{document[:16]}-{number:03d}.tif"
