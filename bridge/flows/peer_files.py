"""Files that go with a shared case: offered to the other desk, fetched from it, kept by their hash.

The document names each by its hash, its kind and where it is fetched (orders sheet, section 5).
What comes must be the octets that the hash names and of a kind that we take; it is kept like a file
of our own and named in the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from bridge.domain.attachment import MEDIA, NAME, is_whole, kind_of, media_of
from bridge.domain.journal import Fact
from bridge.domain.peer import PeerBook, PeerCase
from bridge.domain.shared_case import Attachment
from bridge.flows.calls import Spawn
from bridge.flows.outbox import NotDelivered
from bridge.flows.peer_core import Recorder
from bridge.flows.ports import Clock, FileMissing, Files, StoreError, Transaction

PATH: Final = "/platform/files/"
"""Where other desks fetch, below our public address."""
AGAIN_S: Final = (0.0, 1.0, 5.0, 30.0, 120.0, 600.0)
"""Waits before each try; after the last the file is asked for again at the next start, or with the
next document of its case."""
_KINDS: Final = {media: kind for kind, media in MEDIA.items()}

Fetch = Callable[[Attachment], Awaitable[bytes]]

_log = structlog.get_logger(__name__)


def attachment_of(name: str, public_url: str) -> Attachment:
    """A file of ours as the document names it."""
    found = NAME.fullmatch(name)
    assert found is not None
    return Attachment(found[1], media_of(name), f"{public_url.rstrip('/')}{PATH}{name}")


def name_of(attachment: Attachment) -> str | None:
    """What it is called here; None for a kind that is not taken."""
    kind = _KINDS.get(attachment.type)
    return f"{attachment.sha256}.{kind}" if kind in ("jpg", "png", "webp", "pdf") else None


def offered(book: PeerBook, peer: str, name: str) -> bool:
    """Whether a case that is shared with that platform names that file."""
    found = NAME.fullmatch(name)
    return found is not None and any(
        one.sha256 == found[1]
        for record in book.cases.values()
        if peer in record.queued
        for one in record.case.attachments
    )


class PeerFiles:
    """Fetches what other desks have attached. `fetch` raises NotDelivered."""

    def __init__(
        self,
        files: Files,
        fetch: Fetch,
        recorder: Recorder,
        clock: Clock,
        spawn: Spawn,
        alarm: Callable[[str, str], None],
    ) -> None:
        self._files = files
        self._fetch = fetch
        self._recorder = recorder
        self._clock = clock
        self._spawn = spawn
        self._alarm = alarm
        self._coming: set[str] = set()
        self.here: set[str] = set()
        """Names of files that other desks have attached and that are here."""

    def look(self, record: PeerCase) -> None:
        """Fetch what a shared case names and is not here. Never blocks."""
        for one in record.case.attachments:
            name = name_of(one)
            if name is not None and name not in self._coming:
                self._coming.add(name)
                self._spawn(self._bring(record, one, name), f"file of {record.case.id}")

    def look_at_all(self, records: Iterable[PeerCase]) -> None:
        """After a start."""
        for record in records:
            self.look(record)

    async def _bring(self, record: PeerCase, one: Attachment, name: str) -> None:
        """Once; a person is told of a file that is still lacking at the end."""
        try:
            why = "" if await self._is_here(name) else await self._try(record, one, name)
        finally:
            self._coming.discard(name)
        if not why:
            self.here.add(name)
        case = record.number
        words = f"求助件 {case} 的附件未能取得:{why} / a file of the case could not be fetched"
        self._alarm(f"peer.file.{name[:12]}", words if why else "")

    async def _try(self, record: PeerCase, one: Attachment, name: str) -> str:
        """Why it is not here in the end; empty when it is."""
        why = ""
        for wait in AGAIN_S:
            await asyncio.sleep(wait)
            try:
                data = await self._fetch(one)
                if not is_whole(name, data) or kind_of(data) != name.rpartition(".")[2]:
                    raise NotDelivered("other octets than named", refused=True)
                await self._keep(record, name, data)
            except NotDelivered as error:
                why = str(error) or type(error).__name__
                _log.warning("peer.file_not_fetched", file=name[:12], reason=why)
                if error.refused:
                    return why
            except (StoreError, OSError) as error:
                why = str(error) or type(error).__name__
                _log.error("peer.file_not_kept", file=name[:12], reason=why)
            else:
                return ""
        return why

    async def _is_here(self, name: str) -> bool:
        try:
            await self._files.read(name)
        except FileMissing:
            return False
        return True

    async def _keep(self, record: PeerCase, name: str, data: bytes) -> None:
        await self._files.keep(data, name.rpartition(".")[2])
        fact = Fact(
            "peer.attached",
            self._clock.now(),
            record.number,
            None,
            record.case.id,
            "daemon",
            {"attachments": [name]},
        )
        await self._recorder.commit(Transaction([fact]))
