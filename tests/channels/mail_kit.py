"""A real SMTP server (aiosmtpd) with a will of its own, certificates, and somebody to tell."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from bridge.channels.email import EmailChannel, MailServer, ReadFile, Security
from bridge.domain.delivery import A, ChannelKind, Job, OrderSheet, Progress, Received
from bridge.domain.paper import Paper, PaperKind
from bridge.flows.ports import FileMissing
from tests.documents.papers import order_sheet

KEY = b"k" * 32
SENDER = "orders@desk.example"
UNIT = "duty@water.example"
NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


class FixedClock:
    """`flows.ports.Clock` that stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@dataclass
class Told:
    """`flows.ports.FromChannel` that remembers."""

    said: list[Progress] = field(default_factory=list)
    got: list[Received] = field(default_factory=list)

    async def progress(self, progress: Progress) -> None:
        self.said.append(progress)

    async def received(self, received: Received) -> None:
        self.got.append(received)

    def states(self) -> list[A]:
        return [one.state for one in self.said]


@dataclass
class PostOffice:
    """What the server answers and what it has seen. `hold` keeps it from answering."""

    rcpt: dict[str, str] = field(default_factory=dict)
    data: str = "250 taken"
    mails: list[Envelope] = field(default_factory=list)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    hold_data: bool = False
    hold_rcpt: bool = False
    logins: list[str] = field(default_factory=list)
    ciphers: list[bool] = field(default_factory=list)
    begun: int = 0
    """Mails that were begun (MAIL FROM), whatever became of them."""

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.begun += 1
        envelope.mail_from = address
        return "250 ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.hold_rcpt:
            self.entered.set()
            await asyncio.Event().wait()
        answer = self.rcpt.get(address, "250 ok")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.ciphers.append(session.ssl is not None)
        if self.data.startswith("2"):
            self.mails.append(envelope)
        self.entered.set()
        if self.hold_data:
            await asyncio.Event().wait()
        return self.data

    def login(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        return AuthResult(success=data.password == b"right", handled=False)

    def read(self, number: int = 0) -> EmailMessage:
        """A mail as its reader sees it."""
        data = self.mails[number].original_content
        assert data is not None
        mail = message_from_bytes(data, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        return mail


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", str(key), "-out", str(cert), "-days", "2"]
    command += ["-subj", "/CN=mail.example", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return cert, key


def server_tls(cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


@contextlib.asynccontextmanager
async def smtp_server(
    office: PostOffice, *, ssl_context: ssl.SSLContext | None = None, **more: Any
) -> AsyncIterator[int]:
    """The server on a free port of loopback, on the test's own loop."""
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(office, hostname="mail.example", **more),
        "127.0.0.1",
        0,
        ssl=ssl_context,
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def mail_server(
    port: int, *, security: Security = "none", ca: Path | None = None, **more: Any
) -> MailServer:
    said: dict[str, Any] = {"link_key": KEY, "link_base": "https://desk.example/unit/a/"}
    return MailServer(
        host="127.0.0.1", port=port, security=security, sender=SENDER, ca_file=ca, **(said | more)
    )


async def plain_paper(sheet: OrderSheet) -> Paper:
    """A paper that is quick to make; the real ones have tests of their own."""
    page = f"<html><body><p>{sheet.order}</p></body></html>"
    return Paper(
        kind=PaperKind.ORDER,
        name="order",
        title="指令",
        pages=1,
        tiff=b"II",
        pdf=b"%PDF-1.4 " + sheet.order.encode(),
        html=page,
        text=f"指令编号:{sheet.order}\n回执码:{sheet.code[:4]} {sheet.code[4:]}\n",
    )


async def no_file(name: str) -> bytes:
    """No attachment is kept."""
    raise FileMissing(name)


@dataclass
class Spawned:
    """The task group of a test."""

    tasks: set[asyncio.Task[object]] = field(default_factory=set)

    def __call__(self, work: Coroutine[Any, Any, object], name: str) -> None:
        self.tasks.add(asyncio.create_task(work, name=name))

    async def done(self) -> None:
        """All of them have ended; the first error is raised."""
        async with asyncio.timeout(60):
            await asyncio.gather(*self.tasks)


def channel(
    server: MailServer,
    told: Told,
    spawned: Callable[[Coroutine[Any, Any, object], str], None],
    read: ReadFile = no_file,
) -> EmailChannel:
    return EmailChannel(server, plain_paper, told, FixedClock(), spawned, read)


def job(attempt: str = "a-1", *addresses: str, **more: object) -> Job:
    return Job(
        attempt=attempt,
        channel=ChannelKind.MAIL,
        sheet=order_sheet(**more),
        addresses=addresses or (UNIT,),
    )
