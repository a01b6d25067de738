"""Looks into the mailbox for replies, in a thread with a deadline; lets go of a mail only once
what it said is stored.

Mails that were looked at carry a keyword of ours, so that people may read the same mailbox; where
the server knows no keywords, `\\Seen` stands for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import structlog
from imap_tools import AND, BaseMailBox, ImapToolsError, MailBox, MailBoxStartTls
from imap_tools.mailbox import MailBoxUnencrypted

from bridge.channels.email import Security
from bridge.channels.mail_reply import Reply, ReplyKind, read_mail
from bridge.domain.delivery import A, Cause, Progress
from bridge.flows.ports import Clock, FromChannel

_log = structlog.get_logger(__name__)

ALARM: Final = "mail.replies"
KEYWORD: Final = "Bridge110"
SEEN: Final = "\\Seen"
STEP_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 90.0
"""One look into the mailbox, from connecting to leaving."""
BATCH: Final = 20
"""Mails of one look; more wait for the next."""
MAX_BYTES: Final = 2 * 1024 * 1024
"""Of a larger mail only the header is read: a person looks."""
SINCE: Final = timedelta(days=14)
"""Older mails answer no open order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxAccount:
    """Where replies arrive. `poll_s` seconds lie between two looks."""

    host: str
    port: int
    security: Security
    username: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    poll_s: float = 30.0


@dataclass(frozen=True, slots=True)
class _Found:
    uid: str
    data: bytes
    whole: bool


class ReplyMailbox:
    """Polls one mailbox and tells what people and machines answered."""

    def __init__(
        self,
        account: MailboxAccount,
        tls: ssl.SSLContext,
        keys: Sequence[bytes],
        tell: FromChannel,
        clock: Clock,
        alarm: Callable[[str, str], None] = lambda name, words: None,
    ) -> None:
        """`alarm` hears that the mailbox cannot be read; empty words: it can again."""
        self._account = account
        self._tls = tls
        self._keys = keys
        self._tell = tell
        self._clock = clock
        self._alarm = alarm
        self.trouble = ""
        """Why the last look failed; empty: it did not."""

    async def run(self) -> None:
        """Look again and again until cancelled. A look that fails is told once, and its mending."""
        while True:
            try:
                more = await self.look()
            except (OSError, ImapToolsError, imaplib.IMAP4.error, ValueError) as error:
                self._failed(f"{type(error).__name__}: {error}"[:300])
                more = False
            else:
                self._well()
            if not more:
                await asyncio.sleep(self._account.poll_s)

    async def look(self) -> bool:
        """One look. True when there was as much as one look takes, so that more may wait.

        Raises OSError, ImapToolsError, imaplib.IMAP4.error or ValueError where the mailbox cannot
        be read.
        """
        box: BaseMailBox | None = None
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                box = await asyncio.to_thread(self._open)
                flag = _flag(box)
                since = (self._clock.now() - SINCE).date()
                found = await asyncio.to_thread(_collect, box, flag, since)
                for one in found:
                    await self._told(one)
                    await asyncio.to_thread(box.flag, [one.uid], [flag], True)
                await asyncio.to_thread(box.logout)
        finally:
            if box is not None:
                with contextlib.suppress(OSError):
                    box.client.shutdown()  # ends a thread that still waits for the server
        return len(found) == BATCH

    async def _told(self, one: _Found) -> None:
        reply = await asyncio.to_thread(read_mail, one.data, self._keys)
        _log.info("mail.reply", kind=reply.kind.value, reason=reply.reason, whole=one.whole)
        progress = self._progress(reply)
        if progress is not None:
            await self._tell.progress(progress)
        elif reply.kind is ReplyKind.PERSON or reply.attempt is None:
            await self._tell.received(reply.received(self._clock.now()))

    def _progress(self, reply: Reply) -> Progress | None:
        """What a machine says of a mail of ours."""
        if reply.attempt is None or reply.kind not in _STATES:
            return None
        state, cause = _STATES[reply.kind]
        return Progress(
            attempt=reply.attempt,
            state=state,
            at=self._clock.now(),
            cause=cause,
            detail=f"{reply.kind.value}: {reply.reason}",
        )

    def _open(self) -> BaseMailBox:
        account = self._account
        box: BaseMailBox
        match account.security:
            case "tls":
                box = MailBox(account.host, account.port, STEP_SECONDS, ssl_context=self._tls)
            case "starttls":
                box = MailBoxStartTls(
                    account.host, account.port, STEP_SECONDS, ssl_context=self._tls
                )
            case "none":
                box = MailBoxUnencrypted(account.host, account.port, STEP_SECONDS)
        box.login(account.username, account.password, account.folder)
        return box

    def _failed(self, words: str) -> None:
        if not self.trouble:
            self._alarm(ALARM, f"回复信箱无法读取 / replies by mail cannot be read: {words}")
        (_log.debug if self.trouble else _log.warning)("mail.mailbox_away", reason=words)
        self.trouble = words

    def _well(self) -> None:
        if self.trouble:
            self._alarm(ALARM, "")
            _log.info("mail.mailbox_back")
        self.trouble = ""


_STATES: Final = {
    ReplyKind.BOUNCE: (A.FAILED, Cause.BAD_ADDRESS),
    ReplyKind.DELIVERED: (A.DELIVERED, None),
    ReplyKind.READ: (A.READ, None),
}


def _flag(box: BaseMailBox) -> str:
    """Our keyword where the server keeps keywords (RFC 9051, 7.1: PERMANENTFLAGS with \\*)."""
    _, kept = box.client.response("PERMANENTFLAGS")
    words = b" ".join(one for one in kept or [] if isinstance(one, bytes))
    return KEYWORD if b"\\*" in words else SEEN


def _collect(box: BaseMailBox, flag: str, since: date) -> list[_Found]:
    """Mails not looked at yet, oldest first, at most BATCH. In a thread."""
    wanted = (
        AND(no_keyword=KEYWORD, date_gte=since)
        if flag == KEYWORD
        else AND(seen=False, date_gte=since)
    )
    found: list[_Found] = []
    for uid in box.uids(wanted)[:BATCH]:
        whole = _size(box, uid) <= MAX_BYTES
        part = "BODY.PEEK[]" if whole else "BODY.PEEK[HEADER]"
        _, answer = box.client.uid("FETCH", uid, f"({part})")
        data = next((one[1] for one in answer if isinstance(one, tuple)), None)
        if isinstance(data, bytes):
            found.append(_Found(uid, data[:MAX_BYTES], whole))
    return found


def _size(box: BaseMailBox, uid: str) -> int:
    answer: Any
    _, answer = box.client.uid("FETCH", uid, "(RFC822.SIZE)")
    words = b" ".join(one for one in answer if isinstance(one, bytes)).split()
    size = words[words.index(b"RFC822.SIZE") + 1].rstrip(b")") if b"RFC822.SIZE" in words else b""
    return int(size) if size.isdigit() else 0
