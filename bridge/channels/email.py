"""Orders by e-mail: one connection a mail, encrypted unless the site says otherwise.

A mail that the server has taken is *sent*; whether anybody reads it is for people to say. What
was cut off after DATA began is *unknown*: it may have gone out (orders sheet, section 1).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import aiosmtplib
import structlog
from aiosmtplib import (
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from bridge.channels.mail_message import ADDRESS, Letter, MessageError, letter
from bridge.domain.delivery import A, Cause, ChannelKind, Job, OrderSheet, Progress
from bridge.domain.paper import Paper, PaperError
from bridge.flows.ports import Clock, FileMissing, FromChannel
from bridge.wire.ack_link import AckToken, sign

_log = structlog.get_logger(__name__)

STEP_SECONDS: Final = 20.0
"""Deadline of one command and its answer (RFC 5321 4.5.3.2 allows minutes; an order does not)."""
WHOLE_SECONDS: Final = 90.0
QUIT_SECONDS: Final = 3.0
CONNECTIONS: Final = 8
"""Mails on their way at a time; others wait their turn."""
REMEMBERED: Final = 10_000
"""Attempts that this process knows; the same again does nothing."""
FILES_BYTES: Final = 10 * 1024 * 1024
"""Of attachments together; many servers refuse mails above twice of it."""
LINK_LIFE: Final = timedelta(days=7)

Security = Literal["tls", "starttls", "none"]
Spawn = Callable[[Coroutine[Any, Any, object], str], None]
Data = Mapping[str, str | int | float | bool | None]
ReadFile = Callable[[str], Awaitable[bytes]]
MakePaper = Callable[[OrderSheet], Awaitable[Paper]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """The site's own mail server, and how links in mails begin.

    `link_base` is the address of the unit page without the token; empty: no link is sent.
    """

    host: str
    port: int
    security: Security
    sender: str
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    link_base: str = ""
    link_key: bytes = field(repr=False)


@dataclass(slots=True)
class _Try:
    """One attempt in hand. Withdrawn, it stops before DATA, never inside."""

    job: Job
    task: asyncio.Task[Any] | None = None
    in_data: bool = False
    withdrawn: bool = False
    last: Progress | None = None


@dataclass(slots=True)
class _Outcome:
    state: A
    cause: Cause | None = None
    detail: str = ""
    data: Data = field(default_factory=dict)


class EmailChannel:
    """`flows.ports.Channel` on an SMTP server."""

    kind = ChannelKind.MAIL

    def __init__(
        self,
        server: MailServer,
        paper: MakePaper,
        tell: FromChannel,
        clock: Clock,
        spawn: Spawn,
        read: ReadFile,
    ) -> None:
        """`read` gives the octets of an attachment. Raises OSError or ssl.SSLError where the CA's
        file cannot be used."""
        self._server = server
        self._paper = paper
        self._tell = tell
        self._clock = clock
        self._spawn = spawn
        self._read = read
        self._tls = tls_context(server.ca_file)
        self._turns = asyncio.Semaphore(CONNECTIONS)
        self._tries: OrderedDict[str, _Try] = OrderedDict()

    async def send(self, job: Job) -> None:
        """Take a job over; see `Channel.send`."""
        if job.attempt in self._tries:
            return
        one = self._tries[job.attempt] = _Try(job)
        while len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)
        self._spawn(self._carry(one), f"mail {job.attempt}")

    async def withdraw(self, attempt: str) -> None:
        """Stop a mail that is not in DATA yet; see `Channel.withdraw`."""
        one = self._tries.get(attempt)
        if one is None or one.in_data or one.withdrawn or _is_over(one.last):
            return
        one.withdrawn = True
        if one.task is not None:
            one.task.cancel()

    async def look(self, attempt: str) -> Progress | None:
        """What this process has seen; a mail server cannot be asked."""
        one = self._tries.get(attempt)
        return one.last if one is not None else None

    async def test(self, addresses: Sequence[str]) -> str:
        """Connect, sign in, and ask whether the server takes these addresses; nothing is sent."""
        if wrong := [address for address in addresses if ADDRESS.fullmatch(address) is None]:
            return f"不是邮件地址 / no mail address: {wrong[0]!r}"
        client = self._client()
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                await client.connect()
                await client.mail(self._server.sender)
                for address in addresses:
                    await client.rcpt(address)
                await client.quit()
        except (SMTPException, OSError, ValueError) as error:
            return outcome_of(error, in_data=False).detail
        finally:
            client.close()
        return ""

    # One attempt

    async def _carry(self, one: _Try) -> None:
        one.task = asyncio.current_task()
        try:
            if not one.withdrawn:
                async with self._turns:
                    await self._attempt(one)
                return
        except asyncio.CancelledError:
            if not one.withdrawn or one.task is None:
                raise
            one.task.uncancel()
        await self._say(one, _Outcome(A.WITHDRAWN))

    async def _attempt(self, one: _Try) -> None:
        job = one.job
        try:
            paper = await self._paper(job.sheet)
            files, left_out = await self._files(job.sheet)
            mail = letter(
                job.sheet,
                paper,
                attempt=job.attempt,
                sender=self._server.sender,
                recipients=job.addresses,
                link=self._link(job),
                key=self._server.link_key,
                now=self._clock.now(),
                files=files,
                left_out=left_out,
            )
        except MessageError as error:
            await self._say(one, _Outcome(A.FAILED, Cause.BAD_ADDRESS, str(error)))
            return
        except PaperError as error:
            await self._say(one, _Outcome(A.FAILED, Cause.ERROR, str(error)))
            return
        await self._say(one, _Outcome(A.SENDING, data={"message_id": mail.message_id}))
        await self._say(one, await self._deliver(one, mail))

    async def _files(self, sheet: OrderSheet) -> tuple[list[tuple[str, bytes]], int]:
        """Attachments of the order as far as a mail holds them, and how many it does not."""
        found: list[tuple[str, bytes]] = []
        room, left_out = FILES_BYTES, 0
        for name in sheet.attachments:
            try:
                content = await self._read(name)
            except FileMissing:
                _log.error("mail.attachment_missing", order=sheet.order, file=name)
                content = b""
            if content and len(content) <= room:
                room -= len(content)
                found.append((name, content))
            else:
                left_out += 1
        return found, left_out

    def _link(self, job: Job) -> str:
        base = self._server.link_base
        if not base:
            return ""
        sheet = job.sheet
        ends = self._clock.now() + LINK_LIFE
        token = AckToken(job.attempt, sheet.order, sheet.unit, ends)
        return f"{base}{sign(token, self._server.link_key)}"

    async def _deliver(self, one: _Try, mail: Letter) -> _Outcome:
        client = self._client()
        try:
            async with asyncio.timeout(WHOLE_SECONDS):
                await client.connect()
                await client.mail(mail.sender)
                taken, refused = await _recipients(client, mail.recipients)
                if not taken:
                    return _none_taken(refused)
                one.in_data = True
                answer = await client.data(mail.data)
                with contextlib.suppress(SMTPException, OSError):
                    await client.quit(timeout=QUIT_SECONDS)  # taken is taken, whatever comes now
        except (SMTPException, OSError, ValueError) as error:
            return outcome_of(error, in_data=one.in_data)
        finally:
            client.close()
        seen: Data = {"answer": _plain(answer.message), "taken": len(taken)}
        return _Outcome(A.SENT, None, _words(refused), {**seen, "refused": len(refused)})

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username or None,
            password=server.password or None,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            tls_context=self._tls if server.security != "none" else None,
            local_hostname=server.sender.rpartition("@")[2],
            timeout=STEP_SECONDS,
        )

    async def _say(self, one: _Try, outcome: _Outcome) -> None:
        one.last = Progress(
            attempt=one.job.attempt,
            state=outcome.state,
            at=self._clock.now(),
            cause=outcome.cause,
            detail=outcome.detail,
            data=outcome.data,
        )
        _log.info("mail.attempt", attempt=one.job.attempt, state=outcome.state.value)
        await self._tell.progress(one.last)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Certificates are looked at, always; the site's own CA or the system's."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file is not None else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _recipients(
    client: aiosmtplib.SMTP, addresses: Sequence[str]
) -> tuple[list[str], list[SMTPRecipientRefused]]:
    """Whom the server takes, and its answers for the others."""
    taken: list[str] = []
    refused: list[SMTPRecipientRefused] = []
    for address in addresses:
        try:
            await client.rcpt(address)
        except SMTPRecipientRefused as error:
            refused.append(error)
        else:
            taken.append(address)
    return taken, refused


def _none_taken(refused: Sequence[SMTPRecipientRefused]) -> _Outcome:
    """Deferred where any of the addresses may be taken later."""
    later = any(error.code < 500 for error in refused)
    return _Outcome(A.FAILED, Cause.DEFERRED if later else Cause.BAD_ADDRESS, _words(refused))


def _words(refused: Sequence[SMTPRecipientRefused]) -> str:
    return "; ".join(f"{one.recipient}: {one.code} {_plain(one.message)}" for one in refused)[:500]


def outcome_of(error: Exception, *, in_data: bool) -> _Outcome:
    """What an error means: by the server's code, or by how far it had come."""
    words = _plain(str(error) or type(error).__name__)
    if isinstance(error, SMTPRecipientRefused) and error.code >= 500:
        return _Outcome(A.FAILED, Cause.BAD_ADDRESS, words)
    if isinstance(error, SMTPResponseException) and error.code > 0:
        said = f"{error.code} {_plain(error.message)}"
        later = 400 <= error.code < 500
        return _Outcome(A.FAILED, Cause.DEFERRED if later else Cause.REFUSED, said)
    if in_data:
        return _Outcome(A.UNKNOWN, None, f"DATA 中断,结果不明 / cut off in DATA: {words}")
    if _is_tls(error):
        mend = "邮件服务器未能加密,未发送 / no encryption with the mail server, nothing was sent"
        return _Outcome(A.FAILED, Cause.REFUSED, f"{mend}: {words}")
    away = isinstance(error, OSError)  # lost, late or not to be reached; aiosmtplib's are too
    return _Outcome(A.FAILED, Cause.DEFERRED if away else Cause.REFUSED, words)


def _is_tls(error: BaseException | None) -> bool:
    """STARTTLS not offered, or a certificate that is not the server's."""
    while error is not None:
        if isinstance(error, ssl.SSLError | SMTPNotSupported):
            return True
        if isinstance(error, SMTPException) and "STARTTLS" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _plain(words: str) -> str:
    return "".join(one if one.isprintable() else " " for one in words)[:300]


def _is_over(last: Progress | None) -> bool:
    return last is not None and last.state not in (A.QUEUED, A.SENDING)
