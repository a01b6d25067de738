"""Faxes as doors: far identities, what the switch says, codes on pages, files in the spool, and the
words of an order on the pages that go out."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import segno
from PIL import Image

from bridge.app.fax import read_pages
from bridge.asterisk.fax_calls import FaxCalls
from bridge.channels.fax_spool import FaxSpool
from bridge.documents.limited import read_bytes
from bridge.documents.returned import read_page
from bridge.documents.service import Documents
from bridge.domain.delivery import ChannelKind, Says
from bridge.domain.fax import FaxIn, parse_in, parse_sent
from bridge.flows.fax_ports import FaxSeen
from bridge.wire.ami import Message
from hardware.fax.page import page_of_image, read_tiff, write_tiff
from hardware.fax.t30_frames import clean_identity, decode_identity
from tests.attack.corpus import Hostile, load
from tests.channels.mail_kit import Told
from tests.documents.papers import ORDER, ZONE, order_sheet

CORPUS = load()
NOW = datetime(2026, 11, 26, tzinfo=UTC)
SHOWN = re.compile(r"[A-Za-z0-9 +().:/-]{0,20}")


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda one: one.name)
def test_a_far_identity_is_letters_and_digits_when_it_is_shown(hostile: Hostile) -> None:
    assert SHOWN.fullmatch(decode_identity(hostile.raw))
    assert SHOWN.fullmatch(decode_identity(hostile.raw[::-1]))
    assert SHOWN.fullmatch(clean_identity(hostile.text))


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda one: one.name)
def test_what_the_switch_says_is_ours_or_nothing(hostile: Hostile) -> None:
    """In place of the whole, and in place of each part of it."""
    seen: list[FaxSeen] = []
    came: list[FaxIn] = []
    calls = FaxCalls(None, lambda: NOW, lambda _seconds, _do: None)  # type: ignore[arg-type]
    calls.see, calls.came = seen.append, lambda fax, _at: came.append(fax)
    parts = ["1.1", "800", "1", "8031x7700", "1", "14400", "T38", "SUCCESS", "OK", "110"]
    saying = [hostile.text]
    saying += ["/".join([*parts[:n], hostile.text, *parts[n + 1 :]]) for n in range(len(parts))]
    for said in saying:
        for kind, unique in (("FaxSent", "fax-1.1"), ("FaxReceived", said.split("/")[0])):
            lines = ["Event: UserEvent", f"UserEvent: {kind}", f"Uniqueid: {unique}"]
            text = "\r\n".join([*lines, f"Said: {said}"])
            calls.event(Message(text.encode("utf-8", "surrogatepass")))
        sent, fax = parse_sent(said), parse_in(said)
        shown = [sent.number, sent.words, sent.far, sent.mode] if sent is not None else []
        shown += [fax.call, fax.caller, fax.words, fax.far] if fax is not None else []
        assert all(re.fullmatch(r"[A-Za-z0-9+.-]{0,100}", one) for one in shown), said
    for one in seen:
        assert one.attempt == "1.1"
    for fax in came:
        assert re.fullmatch(r"[A-Za-z0-9.-]{1,64}", fax.call)


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda one: one.name)
def test_a_code_that_is_not_ours_reads_as_nothing(hostile: Hostile) -> None:
    """On a received page: whatever a QR symbol says, nothing is reported by it."""
    text = hostile.text.encode("utf-8", "replace").decode()[:300]
    page = Image.new("L", (1728, 1100), 255)
    for payload, x in ((text, 60), (f"B110/1/{text[:60]}/1/0", 900)):
        if not payload:
            continue
        drawn = io.BytesIO()
        segno.make_qr(payload).save(drawn, kind="png", scale=6)
        with Image.open(drawn) as symbol:
            page.paste(symbol.convert("L"), (x, 60))
    (one,) = read_bytes(write_tiff([page_of_image(page.convert("1"))]))
    assert (one.read.says, one.read.order) == (Says.NOTHING, None)


class Nobody:
    """`flows.fax_ports.FaxLines` of a switch without calls."""

    async def call(self, call: object) -> None: ...

    async def hang_up(self, attempt: str) -> None: ...

    async def up(self) -> frozenset[str]:
        return frozenset()


def bomb() -> bytes:
    """A page of 1728 by 200 000 in some kilobytes."""
    blank = Image.new("1", (1728, 200_000), 1)
    out = io.BytesIO()
    blank.save(out, "TIFF", compression="group4")
    return out.getvalue()


def many() -> bytes:
    """Five hundred pages."""
    pages = [Image.new("1", (1728, 8), 1) for _ in range(500)]
    out = io.BytesIO()
    pages[0].save(out, "TIFF", compression="group4", save_all=True, append_images=pages[1:])
    return out.getvalue()


def whole() -> bytes:
    return write_tiff([page_of_image(Image.new("1", (1728, 200), 1))])


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "PNG")
    return out.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "bomb": bomb,
    "500 pages": many,
    "half": lambda: whole()[:-60],
    "head alone": lambda: whole()[:8],
    "noise": lambda: bytes(range(256)) * 40,
    "a picture": picture,
    "text": lambda: b"#!/bin/sh\ntouch /tmp/bridge110-attack-marker\n",
}


@pytest.mark.parametrize("name", FILES)
async def test_a_hostile_file_in_the_spool_costs_nothing_and_goes_to_a_person(
    name: str, tmp_path: Path
) -> None:
    place, inbox, told = tmp_path / "in", tmp_path / "inbox", Told()
    place.mkdir()
    inbox.mkdir()
    (place / "1795677308.1.tif").write_bytes(FILES[name]())
    (place / "link.tif").symlink_to("/etc/passwd")
    work: list[Coroutine[Any, Any, object]] = []
    spool = FaxSpool(place, inbox, read_pages, told, Nobody(), lambda do, _name: work.append(do))
    spool.settled()
    await asyncio.gather(*work)
    assert told.got
    assert all(got.says is Says.NOTHING for got in told.got)
    assert all(got.channel is ChannelKind.FAX and got.words for got in told.got)
    kept = {got.attachments[0] for got in told.got}
    assert {file.name for file in inbox.iterdir()} == kept
    assert [file.name for file in place.iterdir()] == ["link.tif"], "never followed"


@pytest.mark.parametrize("hostile", CORPUS[::4], ids=lambda one: one.name)
async def test_words_of_an_order_are_ink_on_its_page_and_nothing_else(hostile: Hostile) -> None:
    """The page carries the order's own code whatever its words say."""
    documents = Documents(ZONE)
    text = hostile.text.encode("utf-8", "replace").decode()[:600]
    paper = await documents.paper(order_sheet(words=text, place=text[:60], unit_name=text[:30]))
    pages = read_tiff(io.BytesIO(paper.tiff))
    assert 1 <= len(pages) <= 4
    orders = []
    for page in pages:
        held = io.BytesIO(write_tiff([page]))
        with Image.open(held) as picture:
            orders.append(read_page(picture.convert("1"), (204.0, 196.0)).order)
    assert ORDER in orders
    assert all(order in (ORDER, None) for order in orders)
