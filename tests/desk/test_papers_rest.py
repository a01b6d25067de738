"""Papers through the public interface: an order's sheet, and what became of a fax."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image, ImageChops

from bridge.channels.fax import sent_copy, sent_name
from bridge.cli.output import CommandError
from bridge.desk.papers import papers
from bridge.documents.files import png_of
from bridge.documents.metric import HEIGHT, WIDTH
from bridge.documents.service import Documents
from bridge.domain.delivery import A, Cause, ChannelKind, Progress
from tests.cli.test_order_command import command
from tests.desk.desk_kit import Kit, running, until
from tests.desk.test_orders_rest import give
from tests.documents.papers import order_sheet
from tests.orders.order_kit import Wire

MEASURED: dict[str, str | int | float | bool | None] = {
    "number": "7002", "far_id": "0539 8110119", "other_station": True, "pages": 1, "of": 1,
    "bps": 9600, "coding": "MMR", "ecm": True,
}  # fmt: skip


@pytest_asyncio.fixture
async def kit(tmp_path: Path, documents: Documents) -> AsyncIterator[Kit]:
    def sent(attempt: str) -> bytes:
        return sent_copy(tmp_path, attempt)

    door = papers(documents.paper, png_of, sent)
    async with running(tmp_path, door) as made:
        made.wires[ChannelKind.FAX] = Wire(ChannelKind.FAX)
        made.orders.orders.use(made.wires[ChannelKind.FAX])
        yield made


async def a_fax(kit: Kit) -> str:
    """The attempt of an order whose unit neither signs in nor answers its telephone."""
    await give(kit, kit.client())
    phone, fax = kit.wires[ChannelKind.PHONE], kit.wires[ChannelKind.FAX]
    await until(lambda: bool(phone.sent))
    await tell(kit, phone.sent[0].attempt, A.FAILED, Cause.MACHINE)
    await until(lambda: bool(fax.sent))
    return fax.sent[0].attempt


async def tell(kit: Kit, attempt: str, state: A, cause: Cause | None = None) -> None:
    data = MEASURED if attempt and state is A.DELIVERED else {}
    now = datetime.now(UTC)
    await kit.orders.orders.progress(
        Progress(attempt=attempt, state=state, at=now, cause=cause, data=data)
    )


async def test_the_report_of_a_fax_shows_what_was_sent_and_what_became_of_it(
    kit: Kit, tmp_path: Path, documents: Documents
) -> None:
    attempt = await a_fax(kit)
    sent = (await documents.paper(order_sheet())).tiff
    (tmp_path / sent_name(attempt)).write_bytes(sent)
    path = f"orders/{attempt.rpartition('.')[0]}/attempts/{attempt}/report"
    client = kit.client()
    waiting = (await client.http.get(path, params={"form": "text"})).text
    assert "结果:等待发送" in waiting
    await tell(kit, attempt, A.SENDING)
    await tell(kit, attempt, A.DELIVERED)
    words = (await client.http.get(path, params={"form": "text"})).text
    assert "结果:已送达，对方逐页确认" in words
    assert "对方标识:0539 8110119（与拨打号码不符）" in words
    assert "速率与编码:9600 bit/s MMR ECM" in words
    answer = await client.http.get(path, params={"form": "png"})
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as page:
        assert page.size == (WIDTH, HEIGHT)
        with_picture = page.convert("1")
    (tmp_path / sent_name(attempt)).unlink()
    bare = (await client.http.get(path, params={"form": "png"})).content
    with Image.open(io.BytesIO(bare)) as page:
        where = ImageChops.logical_xor(page.convert("1"), with_picture).getbbox()
    assert where is not None
    assert where[3] - where[1] > HEIGHT / 3, "the picture takes a third of the page at least"
    assert (await client.http.get(path)).content.startswith(b"%PDF")
    assert (await kit.client("E").http.get(path)).status_code == 403
    other = path.replace(attempt + "/", attempt.rpartition(".")[0] + ".1/")
    refused = await client.http.get(other)  # its telephone call
    assert (refused.status_code, refused.json()["code"]) == (404, "no-such-attempt")


async def test_the_command_writes_the_report_to_a_file(
    kit: Kit, tmp_path: Path, documents: Documents
) -> None:
    attempt = await a_fax(kit)
    (tmp_path / sent_name(attempt)).write_bytes((await documents.paper(order_sheet())).tiff)
    await tell(kit, attempt, A.FAILED, Cause.VOICE_ANSWERED)
    for suffix, begins in ((".pdf", b"%PDF"), (".png", b"\x89PNG")):
        file = tmp_path / f"report{suffix}"
        done = await command(kit, tmp_path, "fax", "report", attempt, "--into", str(file), "--json")
        assert json.loads(done.out)["file"] == str(file)
        assert file.read_bytes().startswith(begins)
    text = tmp_path / "report.txt"
    await command(kit, tmp_path, "fax", "report", attempt, "--into", str(text))
    assert "结果:未送达" in text.read_text(encoding="utf-8")
    with pytest.raises(CommandError, match="suffix"):
        await command(kit, tmp_path, "fax", "report", attempt, "--into", "x.doc")
    with pytest.raises(CommandError, match="no-such"):
        await command(kit, tmp_path, "fax", "report", "20200101-0001-01.1", "--into", str(text))


async def test_an_orders_sheet_in_every_form(kit: Kit) -> None:
    order = await give(kit, kit.client())
    for form, begins in (("pdf", b"%PDF"), ("tiff", b"II*\0"), ("png", b"\x89PNG")):
        answer = await kit.client().http.get(f"orders/{order}/sheet", params={"form": form})
        assert answer.content.startswith(begins)
    assert (await kit.client("P").http.get(f"orders/{order}/sheet")).status_code == 403
