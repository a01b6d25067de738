"""Orders by mail against a real SMTP server: encryption, refusals, and a kill in the middle."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
import sys
from pathlib import Path

import pytest

from bridge.channels.email import FILES_BYTES, EmailChannel
from bridge.domain.delivery import A, Cause, OrderSheet
from bridge.domain.paper import Paper, PaperError
from bridge.wire.ack_link import check
from tests.channels.mail_kit import (
    KEY,
    NOW,
    UNIT,
    FixedClock,
    PostOffice,
    Spawned,
    Told,
    certificate,
    channel,
    job,
    mail_server,
    no_file,
    server_tls,
    smtp_server,
)
from tests.documents.papers import CODE, ORDER

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("certs"))


async def test_an_order_arrives_with_text_page_sheet_and_link(certs: tuple[Path, Path]) -> None:
    office, told, spawned = PostOffice(), Told(), Spawned()
    async with smtp_server(office, ssl_context=server_tls(*certs)) as port:
        wire = channel(mail_server(port, security="tls", ca=certs[0]), told, spawned)
        await wire.send(job(drill=True))
        await wire.send(job(drill=True))  # the same attempt again does nothing
        await spawned.done()
    assert told.states() == [A.SENDING, A.SENT]
    (envelope,) = office.mails
    assert envelope.rcpt_tos == [UNIT]
    mail = office.read()
    assert mail["Subject"] == f"【演练】【紧急】联动指令 {ORDER}"
    text = mail.get_body(("plain",))
    page = mail.get_body(("html",))
    assert text is not None
    assert page is not None
    assert f"{CODE[:4]} {CODE[4:]}" in text.get_content()
    (sheet,) = mail.iter_attachments()
    assert sheet.get_content_type() == "application/pdf"
    link = next(one for one in text.get_content().split() if one.startswith("https://"))
    assert link in page.get_content()
    token = check(link.rpartition("/")[2], [KEY], NOW)
    assert (token.attempt, token.order, token.unit) == ("a-1", ORDER, "6001")


@pytest.mark.req("SB-34")
async def test_attachments_go_along_and_what_is_gone_or_too_large_is_said() -> None:
    office, told, spawned = PostOffice(), Told(), Spawned()
    kept = {name: f"{number:064x}.jpg" for number, name in enumerate(("here", "gone", "large"))}
    contents = {kept["here"]: b"\xff\xd8\xff picture", kept["large"]: bytes(FILES_BYTES + 1)}

    async def read(name: str) -> bytes:
        return contents[name] if name in contents else await no_file(name)

    async with smtp_server(office, data_size_limit=2**25) as port:
        wire = channel(mail_server(port), told, spawned, read)
        await wire.send(job(attachments=tuple(kept.values())))
        await spawned.done()
    assert told.states() == [A.SENDING, A.SENT]
    mail = office.read()
    _, picture = mail.iter_attachments()
    assert (picture.get_content_type(), picture.get_filename()) == ("image/jpeg", f"{ORDER}-1.jpg")
    assert picture.get_content() == contents[kept["here"]]
    text = mail.get_body(("plain",))
    assert text is not None
    assert "另有 2 个附件未能随信发送" in text.get_content()


async def test_nothing_goes_in_clear_where_the_server_offers_no_encryption() -> None:
    office, told, spawned = PostOffice(), Told(), Spawned()
    async with smtp_server(office) as port:
        wire = channel(mail_server(port, security="starttls"), told, spawned)
        await wire.send(job())
        await spawned.done()
        assert await wire.test([UNIT]) != ""
    assert told.states() == [A.SENDING, A.FAILED]
    assert told.said[-1].cause is Cause.REFUSED
    assert "未能加密" in told.said[-1].detail
    assert office.mails == []


async def test_starttls_is_used_and_the_certificate_is_looked_at(certs: tuple[Path, Path]) -> None:
    office, told, spawned = PostOffice(), Told(), Spawned()
    async with smtp_server(office, tls_context=server_tls(*certs), require_starttls=True) as port:
        good = channel(mail_server(port, security="starttls", ca=certs[0]), told, spawned)
        await good.send(job("good"))
        await spawned.done()
        assert (told.states(), office.ciphers) == ([A.SENDING, A.SENT], [True])
        foreign = channel(mail_server(port, security="starttls"), told, spawned)
        await foreign.send(job("foreign"))
        await spawned.done()
    assert (told.said[-1].state, told.said[-1].cause) == (A.FAILED, Cause.REFUSED)
    assert len(office.mails) == 1


@pytest.mark.parametrize(
    ("rcpt", "data", "cause"),
    [
        ("250 ok", "451 later", Cause.DEFERRED),
        ("250 ok", "552 too much", Cause.REFUSED),
        ("450 later", "250 ok", Cause.DEFERRED),
        ("550 unknown", "250 ok", Cause.BAD_ADDRESS),
    ],
)
async def test_refusals_are_told_by_their_cause(rcpt: str, data: str, cause: Cause) -> None:
    office, told, spawned = PostOffice(rcpt={UNIT: rcpt}, data=data), Told(), Spawned()
    async with smtp_server(office) as port:
        await channel(mail_server(port), told, spawned).send(job())
        await spawned.done()
    assert told.states() == [A.SENDING, A.FAILED]
    assert told.said[-1].cause is cause
    assert office.mails == []


async def test_partly_refused_addresses_are_seen() -> None:
    office, told, spawned = PostOffice(rcpt={"old@water.example": "550 gone"}), Told(), Spawned()
    async with smtp_server(office) as port:
        await channel(mail_server(port), told, spawned).send(job("a", UNIT, "old@water.example"))
        await spawned.done()
    last = told.said[-1]
    assert (last.state, last.data["taken"], last.data["refused"]) == (A.SENT, 1, 1)
    assert "old@water.example: 550" in last.detail


async def test_a_server_that_is_away_is_for_later() -> None:
    told, spawned = Told(), Spawned()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        wire = channel(mail_server(port), told, spawned)
        await wire.send(job())
        await spawned.done()
        assert await wire.test([UNIT]) != ""
    assert (told.said[-1].state, told.said[-1].cause) == (A.FAILED, Cause.DEFERRED)


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # the whole connection is TLS
async def test_signing_in(certs: tuple[Path, Path]) -> None:
    office, told, spawned = PostOffice(), Told(), Spawned()
    more = {"authenticator": office.login, "auth_required": True, "auth_require_tls": False}
    async with smtp_server(office, ssl_context=server_tls(*certs), **more) as port:
        for password, state in (("right", A.SENT), ("wrong", A.FAILED)):
            server = mail_server(
                port, security="tls", ca=certs[0], username="desk", password=password
            )
            wire = channel(server, told, spawned)
            await wire.send(job(password))
            await spawned.done()
            assert told.said[-1].state is state
            assert (await wire.test([UNIT]) == "") is (password == "right")
    assert told.said[-1].cause is Cause.REFUSED
    assert len(office.mails) == 1
    assert "wrong" not in told.said[-1].detail
    assert "wrong" not in repr(server)


async def test_a_test_of_the_way_sends_nothing() -> None:
    office = PostOffice(rcpt={"gone@water.example": "550 gone"})
    async with smtp_server(office) as port:
        wire = channel(mail_server(port), Told(), Spawned())
        assert await wire.test([UNIT]) == ""
        assert "550" in await wire.test([UNIT, "gone@water.example"])
        assert "mail address" in await wire.test(["a@b.example\r\nRCPT TO:<x@y.example>"])
    assert office.mails == []


async def test_withdrawn_before_data_nothing_goes_out_and_in_data_it_is_finished() -> None:
    office, told, spawned = PostOffice(hold_rcpt=True), Told(), Spawned()
    async with smtp_server(office) as port:
        wire = channel(mail_server(port), told, spawned)
        await wire.send(job("early"))
        await wire.withdraw("early")  # its task has not even begun
        await wire.send(job("held"))
        assert await asyncio.wait_for(office.entered.wait(), 30)
        await wire.withdraw("held")
        await wire.withdraw("held")
        await spawned.done()
        assert [(one.attempt, one.state) for one in told.said] == [
            ("early", A.WITHDRAWN),
            ("held", A.SENDING),
            ("held", A.WITHDRAWN),
        ]
        assert office.mails == []
        await wire.withdraw("never heard of")
        seen = await wire.look("held")
        assert seen is not None
        assert seen.state is A.WITHDRAWN


async def test_cut_off_in_data_is_unknown_and_not_failed() -> None:
    """A server of a few lines that takes everything and then goes away without an answer."""
    said, spawned = Told(), Spawned()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                break
            writer.write(b"250 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        wire = channel(mail_server(port), said, spawned)
        await wire.send(job())
        await spawned.done()
        await wire.withdraw("a-1")
    assert said.states() == [A.SENDING, A.UNKNOWN]


async def test_words_that_cannot_be_a_mail_are_said_and_the_paper_too() -> None:
    told, spawned = Told(), Spawned()

    async def no_paper(sheet: OrderSheet) -> Paper:
        raise PaperError("no such sheet")

    async with smtp_server(PostOffice()) as port:
        wire = channel(mail_server(port), told, spawned)
        await wire.send(job("a", "x@y.example\r\nBcc: z@y.example"))
        await wire.send(job("b\r\nBcc: z@y.example"))
        await wire.send(job("c", order="号"))
        papers = EmailChannel(mail_server(port), no_paper, told, FixedClock(), spawned, no_file)
        await papers.send(job("d"))
        await spawned.done()
    causes = {one.attempt[0]: one.cause for one in told.said}
    assert causes == dict.fromkeys("abc", Cause.BAD_ADDRESS) | {"d": Cause.ERROR}


@pytest.mark.parametrize("point", ["rcpt", "data"])
async def test_killed_on_the_way_the_order_still_goes_out_and_a_second_mail_is_marked(
    tmp_path: Path, point: str
) -> None:
    office = PostOffice(hold_rcpt=point == "rcpt", hold_data=point == "data")
    journal = tmp_path / "journal"
    async with smtp_server(office) as port:
        command = [sys.executable, "-m", "tests.channels.mail_child", str(port), str(journal)]
        first = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        try:
            assert await asyncio.wait_for(office.entered.wait(), 60)
        finally:
            first.send_signal(signal.SIGKILL)
            await first.wait()
        assert len(office.mails) == (point == "data")
        office.hold_rcpt = office.hold_data = False
        again = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        async with asyncio.timeout(60):
            assert await again.wait() == 0
    subjects = [str(office.read(number)["Subject"]) for number in range(len(office.mails))]
    assert 1 <= len(subjects) <= 2
    assert "可能重复" in subjects[-1]
    if point == "data":
        identifiers = [office.read(number)["Message-ID"] for number in (0, 1)]
        assert "可能重复" not in subjects[0]
        assert all(a != b for a, b in itertools.pairwise(identifiers))
