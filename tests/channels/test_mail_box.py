"""The mailbox is read on a real IMAP server, and a mail is let go only once it is stored."""

from __future__ import annotations

import asyncio
import imaplib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bridge.channels.mail_box import ALARM, KEYWORD, MailboxAccount, ReplyMailbox
from bridge.channels.mail_message import message_id
from bridge.domain.delivery import A, Received, Says
from tests.channels.imap_server import PASSWORD, USER, ImapServer, imap_server
from tests.channels.mail_kit import KEY, SENDER, FixedClock, Told
from tests.channels.replies import CODE, mail, receipt, report


class Now(FixedClock):
    """The server stamps what arrives with the day of today."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture(scope="module")
def server() -> Iterator[ImapServer]:
    with imap_server() as running:
        yield running


def mailbox(port: int, told: Told, password: str = PASSWORD) -> ReplyMailbox:
    account = MailboxAccount(
        host="127.0.0.1",
        port=port,
        security="none",
        username=USER,
        password=password,
        poll_s=0.05,
    )
    return ReplyMailbox(account, ssl.create_default_context(), [KEY], told, Now())


class Forgetful(Told):
    """Cannot store anything at first."""

    async def received(self, received: Received) -> None:
        if not self.got:
            self.got.append(received)
            raise OSError("no space left")
        await super().received(received)


async def test_replies_bounces_and_receipts_are_told_once(server: ImapServer) -> None:
    told = Told()
    box = mailbox(server.port, told)
    other = message_id("a-2", SENDER, KEY)
    for data in (mail(f"收到 {CODE}"), mail("没有码"), report("failed"), receipt(other)):
        server.put(data)
    assert not await box.look()
    assert [(one.says, one.code) for one in told.got] == [
        (Says.SIGN, CODE),
        (Says.NOTHING, None),
    ]
    assert [(one.attempt, one.state) for one in told.said] == [("a-1", A.FAILED), ("a-2", A.READ)]
    await box.look()
    assert (len(told.got), len(told.said)) == (2, 2)
    assert all(KEYWORD in flags and "Seen" not in flags for flags in server.flags())


async def test_what_could_not_be_stored_is_read_again(server: ImapServer) -> None:
    told = Forgetful()
    box = mailbox(server.port, told)
    server.put(mail(f"又一封 {CODE}"))
    with pytest.raises(OSError, match="space"):
        await box.look()
    await box.look()
    first, again = told.got
    assert first == again or first.key == again.key


async def test_a_mail_too_large_is_seen_by_its_header_alone(server: ImapServer) -> None:
    told = Told()
    server.put(mail(f"{CODE}\n" + "x" * 3_000_000))
    await mailbox(server.port, told).look()
    assert [one.says for one in told.got] == [Says.NOTHING]


def nested(depth: int) -> bytes:
    """A mail of parts within parts, deeper than a parser by recursion goes."""
    head = "From: li@water.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
    parts = "".join(
        f'Content-Type: multipart/mixed; boundary="b{n}"\r\n\r\n--b{n}\r\n' for n in range(depth)
    )
    return f"{head}{parts}Content-Type: text/plain\r\n\r\n{CODE}\r\n".encode()


async def test_a_mail_nested_too_deep_goes_to_a_person_and_is_let_go(server: ImapServer) -> None:
    told = Told()
    server.put(nested(990))
    box = mailbox(server.port, told)
    await box.look()
    assert [(one.says, one.code, one.automatic) for one in told.got] == [
        (Says.NOTHING, None, False)
    ]
    await box.look()
    assert len(told.got) == 1


async def test_a_server_that_breaks_off_is_a_mailbox_that_is_away() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* BYE overloaded\r\n")
        writer.close()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    box = mailbox(listening.sockets[0].getsockname()[1], Told())
    with pytest.raises(imaplib.IMAP4.error):
        await box.look()
    running = asyncio.create_task(box.run())
    async with asyncio.timeout(60):
        while not box.trouble:
            await asyncio.sleep(0.02)
    assert not running.done()
    running.cancel()
    listening.close()


async def test_a_mailbox_that_is_away_is_tried_again_and_said_once(server: ImapServer) -> None:
    told, alarms = Told(), list[tuple[str, str]]()
    box = mailbox(server.port, told, "wrong")
    box._alarm = lambda name, words: alarms.append((name, words))
    running = asyncio.create_task(box.run())
    async with asyncio.timeout(60):
        while not box.trouble:
            await asyncio.sleep(0.02)
    running.cancel()
    assert [(name, bool(words)) for name, words in alarms] == [(ALARM, True)]
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = mailbox(nobody.getsockname()[1], told)
        with pytest.raises(OSError):
            await away.look()
    server.put(mail(f"后来 {CODE}"))
    back = mailbox(server.port, told)
    back.trouble = "was away"
    back._alarm = lambda name, words: alarms.append((name, words))
    running = asyncio.create_task(back.run())
    async with asyncio.timeout(60):
        while not told.got or back.trouble:
            await asyncio.sleep(0.02)
    running.cancel()
    assert told.got[0].code == CODE
    assert alarms[-1] == (ALARM, "")
