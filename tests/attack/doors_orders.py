"""Orders on the ground `desk`. In: pages and live line of units, links and replies by mail, the
report line, services by the socket. Out: every wire by which an order leaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from typer.testing import CliRunner

from bridge.app.orders import Post
from bridge.asterisk.nonces import Nonces
from bridge.asterisk.order_calls import OrderCalls
from bridge.asterisk.report_calls import ReportCalls
from bridge.channels.mail_message import HEADERS as MAIL_HEADERS
from bridge.channels.mail_message import letter
from bridge.channels.mail_reply import read_mail
from bridge.channels.pins import Pins
from bridge.channels.spoken import Speech, spoken_text
from bridge.cli import app
from bridge.desk.unit_socket import SUBPROTOCOL
from bridge.documents.service import Documents
from bridge.domain.crossing import sheet_of
from bridge.domain.delivery import ChannelKind, OrderSheet
from bridge.domain.order_state import O
from bridge.flows.order_voices import OrderVoices
from bridge.flows.ports import OrderCall
from bridge.flows.report_line import ReportLine
from bridge.wire.ack_link import AckToken, sign
from bridge.wire.ami import Message
from tests.attack.corpus import Hostile
from tests.attack.doors import door, output
from tests.attack.doors_desk import ORDER, DeskGround, Link, new_order
from tests.attack.outputs import is_plain
from tests.desk.desk_kit import Kit
from tests.desk.test_unit_pages import terminal, token_for

KEY: Final = b"k" * 32
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
SENDER, UNIT = "orders@desk.example", "duty@water.example"
TAGS: Final = frozenset(
    re.findall(
        r"\S+",
        "html head meta title link script body header a b span form button p main article h1 h2"
        " small dl dt dd input label textarea select option ol ul li br",
    )
)
ATTRIBUTES: Final = frozenset(
    re.findall(
        r"\S+",
        "lang charset name content rel href src defer class data-live data-attempts id role"
        " method action type value maxlength rows autocomplete required enctype accept multiple",
    )
)
FIELDS: Final = (
    *(("words",), ("person",), ("reference",), ("equipment",), ("delay_reason",)),
    *(("says", "key", "promised_at"), ("to", "says")),
)
OURS: Final = re.compile(r"/unit(/[A-Za-z0-9._/-]*)?|/ack/[A-Za-z0-9._~%-]*")


class _Page(HTMLParser):
    """Fails at a tag, an attribute or an address that no template of ours holds."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, (tag, attrs)
        for name, value in attrs:
            assert name in ATTRIBUTES, (tag, attrs)
            if name in ("href", "src", "action"):
                assert OURS.fullmatch(value or ""), (tag, attrs)
        if tag == "script":
            assert dict(attrs)["src"] == "/unit/unit.js"

    def handle_data(self, data: str) -> None:
        assert is_plain(data), data


class _Paper(HTMLParser):
    """The page in a mail: no script, no address to load, and text."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "object", "form", "base", "link"), (tag, attrs)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, attrs)
            if name in ("src", "href"):
                assert (value or "").startswith("data:image/"), (tag, value)

    def handle_data(self, data: str) -> None:
        assert is_plain(data), data


def is_our_page(text: str) -> None:
    """Nothing but what the templates hold, and text."""
    page = _Page()
    page.feed(text)
    page.close()


async def _page(kit: Kit, signed_in: bool = True) -> httpx.AsyncClient:
    made = httpx.AsyncClient(base_url=kit.url, timeout=20.0)
    kit.clients.append(made)
    if signed_in:
        await made.post("/unit/sign-in", data={"token": kit.tokens["U"]})
    return made


@door("desk", "unit pages: forms")
async def unit_forms(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    page, order = await _page(ground.kit), await new_order(ground)

    async def push(one: Hostile) -> None:
        for names in FIELDS:
            fields = {"says": b"progress", "key": secrets.token_hex(8).encode()}
            body = urlencode({**fields, **dict.fromkeys(names, one.raw)})
            answer = await page.post(f"/unit/orders/{order}/say", content=body, headers=FORM)
            assert answer.status_code in (303, 400, 409, 413), (one, names, answer.status_code)
            is_our_page(answer.text)
        answer = await page.post(
            f"/unit/orders/{order}/say",
            content=_with_file(one),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
        assert answer.status_code in (303, 400, 409, 413, 415), (one, answer.status_code)
        is_our_page(answer.text)

    await ground.each(strings, push)


def _with_file(one: Hostile) -> bytes:
    """A form with a file whose name, type and content are the string."""
    says = b'--b\r\nContent-Disposition: form-data; name="says"\r\n\r\nprogress\r\n'
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n' % one.raw
    return says + head + b"Content-Type: %s\r\n\r\n%s\r\n--b--\r\n" % (one.raw, one.raw)


@door("desk", "unit pages: who and which")
async def unit_paths(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    page, stranger = await _page(ground.kit), await _page(ground.kit, signed_in=False)

    async def push(one: Hostile) -> None:
        part = "".join(f"%{byte:02x}" for byte in one.raw[:2000])
        form = {"headers": FORM, "content": b"says=sign"}
        for client, method, path, more in (
            (page, "GET", f"/unit/orders/{part}", {}),
            (page, "POST", f"/unit/orders/{part}/say", form),
            (stranger, "GET", f"/ack/{part}", {}),
            (stranger, "POST", f"/ack/{part}", form),
            (
                stranger,
                "POST",
                "/unit/sign-in",
                {"headers": FORM, "content": urlencode({"token": one.raw})},
            ),
        ):
            answer = await client.request(method, path, **more)
            assert 400 <= answer.status_code < 500, (one, path[:60], answer.status_code)
            if "html" in answer.headers["content-type"]:
                is_our_page(answer.text)
            else:
                assert is_plain(answer.text), (one, answer.text)

    await ground.each(strings, push)


@door("desk", "links in mails: forms")
async def link_forms(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    page, order = await _page(ground.kit, signed_in=False), await new_order(ground)
    good = token_for(order)
    forged = sign(AckToken(f"{order}.1", order, "water", datetime(2099, 1, 1, tzinfo=UTC)), KEY)

    async def push(one: Hostile) -> None:
        for token, status in ((good, (200, 400, 413)), (forged, (404, 413))):
            fields = dict.fromkeys(("says", "words", "person", "reference", "key"), one.raw)
            answer = await page.post(f"/ack/{token}", content=urlencode(fields), headers=FORM)
            assert answer.status_code in status, (one, answer.status_code)
            is_our_page(answer.text) if answer.status_code != 413 else None

    await ground.each(strings, push)
    assert await _state(ground, order) is O.DISPATCHED, "`says` was never one of ours"


async def _state(ground: DeskGround, order: str) -> O:
    found = await ground.kit.orders.orders.find(order)
    assert found is not None
    return found.state


@door("desk", "a unit's live line")
async def live_line(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    async def push(one: Hostile) -> None:
        raw = one.raw.decode("utf-8", "replace")
        for text in (
            json.dumps({"op": "read", "attempt": one.text}),
            json.dumps({"op": one.text, "attempt": "x"}),
            raw,
        ):
            async with terminal(ground.kit) as socket:
                await socket.send(text)
                with contextlib.suppress(Exception):
                    await socket.send("end")  # no message of a terminal
                async with asyncio.timeout(10):
                    await socket.wait_closed()
                assert socket.close_code == 1008, (one, text[:60], socket.close_code)
                assert socket.subprotocol == SUBPROTOCOL

    await ground.each(strings, push)


def _mails(one: Hostile) -> Iterator[bytes]:
    """A reply with the string in each place that its writer, or a forger, chooses."""
    plain = b"Content-Type: text/plain; charset=utf-8\r\n"
    for head in (
        b"From: %s <%s>" % (one.raw, UNIT.encode()),
        b"From: " + one.raw,
        b"From: %s\r\nSubject: %s" % (UNIT.encode(), one.raw),
        b"From: %s\r\nIn-Reply-To: %s\r\nReferences: %s" % (UNIT.encode(), one.raw, one.raw),
        b"From: %s\r\nMessage-ID: %s\r\nDate: %s" % (UNIT.encode(), one.raw, one.raw),
        b"From: %s\r\nX-Failed-Recipients: %s" % (UNIT.encode(), one.raw),
    ):
        yield head + b"\r\n" + plain + b"\r\nyes\r\n"
    head = b"From: %s\r\n" % UNIT.encode()
    yield head + plain + b"\r\n" + one.raw
    yield head + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + one.raw
    yield head + b"Content-Type: text/plain; charset=" + one.raw + b"\r\n\r\nyes\r\n"
    yield head + b"Content-Type: " + one.raw + b"\r\n\r\nyes\r\n"
    yield head + b"Content-Transfer-Encoding: " + one.raw + b"\r\n\r\nyes\r\n"
    yield (
        head
        + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        + plain
        + b'\r\nyes\r\n--b\r\nContent-Type: application/pdf; name="'
        + one.raw
        + b'"\r\nContent-Disposition: attachment; filename="'
        + one.raw
        + b'"\r\n\r\n'
        + one.raw
        + b"\r\n--b--\r\n"
    )


@door("desk", "replies by mail")
async def replies(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    here = ground.kit.orders
    post, order = Post(here.orders, here.inbox), await new_order(ground)
    for one in strings:
        for data in _mails(one):
            reply = await asyncio.to_thread(read_mail, data, [KEY])
            assert is_plain(reply.words), (one, reply)
            assert is_plain(reply.source), (one, reply)
            assert reply.attempt is None, (one, reply)
            await post.received(reply.received(here.orders.clock.now()))
    assert await _state(ground, order) is O.DISPATCHED


@door("desk", "the report line")
async def report_line(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    kit, link = ground.kit, Link()
    orders = kit.orders.orders

    async def no_tracks(call: str, legs: Any) -> Mapping[str, Any]:
        raise AssertionError("nobody was let in")

    async def nobody() -> set[str]:
        return set()

    tasks: list[asyncio.Task[object]] = []

    def spawn(work: Any, name: str) -> None:
        tasks.append(asyncio.ensure_future(work))

    voices = OrderVoices(orders, no_tracks, nobody, spawn)
    line = ReportLine(orders, kit.orders.inbox, Pins().verify, voices)
    reports = ReportCalls(
        link,  # type: ignore[arg-type]
        line,
        spawn,
        orders.clock.now,
        Nonces(orders.clock.monotonic),
    )
    for number, one in enumerate(strings):
        flat = one.raw.decode("utf-8", "replace").replace("\r", " ").replace("\n", " ")
        common = {"Channel": "PJSIP/6001-0000000a", "Uniqueid": f"1.{number}"}
        for fields in (
            {"UserEvent": "ReportSaid", **dict.fromkeys(("Key", "Date", "File", "Number"), flat)},
            {"UserEvent": "ReportAsks", "Number": flat},
            {"UserEvent": "ReportHeard"},
            {"UserEvent": "ReportSaid", "Key": "2", "File": flat, "Channel": flat},
        ):
            pairs = [("Event", "UserEvent"), *{**common, **fields}.items()]
            reports.event(Message.of(pairs))
        said = await line.entered(f"1.{number}", "6001", one.text, one.text)
        assert said in ("wrong", "closed"), one
    await asyncio.gather(*tasks)
    for action, headers in link.sent:
        assert (action, headers["Variable"]) == ("Setvar", "SHARED(ANSWER)")
        assert headers["Channel"] == "PJSIP/6001-0000000a"
        assert re.fullmatch(r"again|[0-9a-f]{32}", headers["Value"]), headers


@door("desk", "WebSocket: services of orders")
async def order_services(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    order = await new_order(ground)

    async def push(one: Hostile) -> None:
        text = one.text
        asks = {"kind": "progress", "by": text, "text": text}
        words = {**ORDER, "words": text}
        async with ground.kit.socket("T-8001") as socket:
            await socket.send(json.dumps({"op": "hello", "subscribe": ["seat:8002"]}))
            for message, refused in (
                ({"service": "remindOrder", "order": text}, True),
                ({"service": "createOrder", "case": text, "args": ORDER}, True),
                ({"service": "remindOrder", "order": order, "args": {text: text}}, True),
                ({"service": "createOrder", "case": ground.case, "args": words}, False),
                ({"service": "reportOrder", "order": order, "args": asks}, False),
            ):
                ident = secrets.token_hex(8)
                await socket.send(json.dumps({"op": "do", "id": ident, **message}))
                async with asyncio.timeout(20):
                    while (said := json.loads(await socket.recv())).get("id") != ident:
                        pass
                assert said.get("problem", {}).get("status") != 500, (one, said)
                assert not refused or said["op"] == "refused", (one, said)

    await ground.each(strings, push)


# Out: every wire


def _sheets(ground: DeskGround, channel: ChannelKind) -> list[OrderSheet]:
    """Every order at hand as it crosses on that wire; each wording once."""
    orders = ground.kit.orders.orders
    made: dict[tuple[str, str], OrderSheet] = {}
    for order in orders.book.orders.values():
        unit = orders.units[order.unit]
        sheet = sheet_of(
            order, unit, channel, centre="指挥中心", centre_number="7110", repeat=False
        )
        made[sheet.words, sheet.place] = sheet
    assert len(made) > 100
    return list(made.values())


@output("desk", "orders by telephone")
async def spoken(ground: DeskGround, _: Sequence[Hostile]) -> None:
    """Spoken for real; what is asked of the switch holds no word of the order."""
    link = Link()
    calls = OrderCalls(link, ground.kit.orders.orders.clock.now)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix="b110-spoken-") as place:
        speech = Speech(Path(place))

        async def one(number: int, sheet: OrderSheet) -> None:
            sound = await speech.say(spoken_text(sheet))
            assert (Path(place) / Path(sound).name).with_suffix(".wav").stat().st_size > 44
            await calls.call(
                OrderCall(
                    attempt=f"{sheet.order}.{number}",
                    dial="PJSIP/6001",
                    words=sound,
                    seat="8001",
                    number=sheet.centre_number,
                    ring_s=35,
                )
            )

        sheets = _sheets(ground, ChannelKind.PHONE)
        async with asyncio.TaskGroup() as tasks:
            for number, sheet in enumerate(sheets):
                tasks.create_task(one(number, sheet))
    assert len(link.sent) == len(sheets)
    for action, headers in link.sent:
        assert (action, headers["Context"]) == ("Originate", "order-call")
        for variable in headers["Variable"]:
            assert re.fullmatch(r"[A-Z]+=[A-Za-z0-9_./-]*", variable), variable


@output("desk", "orders by mail")
async def mailed(ground: DeskGround, _: Sequence[Hostile]) -> None:
    documents = await asyncio.to_thread(Documents, UTC)
    try:
        for sheet in _sheets(ground, ChannelKind.MAIL):
            paper = await documents.paper(sheet)
            made = letter(
                sheet,
                paper,
                attempt=f"{sheet.order}.1",
                sender=SENDER,
                recipients=[UNIT],
                link="https://desk.example/ack/x",
                key=KEY,
                now=datetime(2026, 3, 1, tzinfo=UTC),
            )
            mail = message_from_bytes(made.data, policy=policy.default)
            assert {name.lower() for name, _ in mail.items()} == MAIL_HEADERS, sheet
            assert mail["To"] == UNIT
            assert b"\r\n.\r\n" not in made.data
            assert not re.search(rb"(?<!\r)\n|\r(?!\n)", made.data)
            kinds = [part.get_content_type() for part in mail.walk()]
            assert kinds[2:] == ["text/plain", "text/html", "application/pdf"], kinds
            assert is_plain(paper.text), paper.text
            _Paper().feed(paper.html)
    finally:
        documents.close()


@output("desk", "orders on the unit's pages")
async def on_pages(ground: DeskGround, _: Sequence[Hostile]) -> None:
    page = await _page(ground.kit)
    listed = await page.get("/unit")
    assert listed.status_code == 200
    is_our_page(listed.text)
    for sheet in _sheets(ground, ChannelKind.TERMINAL):
        answer = await page.get(f"/unit/orders/{sheet.order}")
        assert answer.status_code == (200 if sheet.unit == "water" else 404), sheet.order
        is_our_page(answer.text)


@output("desk", "orders on the command line")
async def on_the_command_line(ground: DeskGround, _: Sequence[Hostile]) -> None:
    token = ground.place / "a-token"
    token.write_text(ground.kit.tokens["T-8001"])
    reach = ["--url", ground.kit.url, "--token-file", str(token)]
    orders = [sheet.order for sheet in _sheets(ground, ChannelKind.TERMINAL)]
    for words in (["list"], *(["show", order] for order in orders)):
        for more in ([], ["--json"]) if words == ["list"] else ([],):
            command = ["order", *words, *reach, *more]
            done = await asyncio.to_thread(CliRunner().invoke, app, command)
            assert done.exit_code == 0, (words, done.output)
            assert is_plain(done.output), words
