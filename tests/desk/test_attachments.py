"""Pictures with reports and orders: judged by content, kept by hash, given as downloads alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bridge.domain.attachment import MAX_BYTES, MAX_FILES
from bridge.domain.order_state import O
from tests.desk.desk_kit import Kit, running
from tests.desk.test_orders_rest import a_case, give
from tests.desk.test_unit_pages import browser, state

JPEG = b"\xff\xd8\xff\xe0 a picture of the pipe"
PDF = b"%PDF-1.7 a paper"
HOSTILE_NAMES = (
    "../../../etc/cron.d/x",
    "..\\..\\x.exe",
    '"; filename="x.html',
    "x.html",
    "a\u202egpj.exe",
    "CON",
    "x" * 300,
)

Part = tuple[str, bytes, str]


@pytest_asyncio.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with running(tmp_path) as made:
        yield made


async def send(
    page: httpx.AsyncClient, order: str, *files: Part, says: str = "arrived", key: str = "k"
) -> httpx.Response:
    return await page.post(
        f"/unit/orders/{order}/say",
        data={"says": says, "key": key, "words": "现场"},
        files=[("file", one) for one in files],
    )


async def names(kit: Kit, order: str) -> list[str]:
    found = await kit.orders.orders.find(order)
    assert found is not None
    return [name for report in found.reports for name in report.attachments]


async def test_a_unit_sends_pictures_with_its_arrival_and_the_desk_fetches_them(
    kit: Kit, tmp_path: Path
) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    async with kit.cti("T-8002", subscribe=["*"]) as events:
        answer = await send(page, order, ("照片.jpg", JPEG, "image/jpeg"), ("b", PDF, "text/html"))
        assert answer.status_code == 200, answer.text
        told = await events.of_type("order.reported")
    picture, paper = await names(kit, order)
    assert told["data"]["attachments"] == [picture, paper]
    assert (picture[-4:], paper[-4:]) == (".jpg", ".pdf")
    assert sorted(one.name for one in (tmp_path / "files").iterdir()) == sorted((picture, paper))
    got = await kit.client().http.get(f"orders/{order}/attachments/{paper}")
    assert (got.status_code, got.content) == (200, PDF)
    assert got.headers["content-type"] == "application/pdf"
    disposition = got.headers["content-disposition"]
    assert re.fullmatch(r'attachment; filename="[0-9-]+-[0-9a-f]{12}\.pdf"', disposition)
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in got.headers["content-security-policy"]
    shown = await kit.client().get(f"orders/{order}")
    assert shown["reports"][0]["attachments"] == [picture, paper]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
async def test_what_a_sender_calls_a_file_is_used_for_nothing(
    kit: Kit, tmp_path: Path, name: str
) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    await send(page, order, (name, JPEG, "text/html"))
    [stored] = await names(kit, order)
    assert re.fullmatch(r"[0-9a-f]{64}\.jpg", stored)
    assert [one.name for one in (tmp_path / "files").iterdir()] == [stored]
    shown = (await page.get(f"/unit/orders/{order}")).text
    assert "cron" not in shown
    got = await page.get(f"/unit/orders/{order}/files/{stored}")
    assert (got.content, got.headers["content-type"]) == (JPEG, "image/jpeg")
    assert got.headers["content-disposition"].startswith("attachment; ")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"<html><script>alert(1)</script>", 415),
        (b"MZ\x90\x00", 415),
        (b"\xff\xd8\xff" + bytes(MAX_BYTES), 413),
    ],
)
async def test_what_is_no_picture_or_too_large_is_refused_and_nothing_kept(
    kit: Kit, tmp_path: Path, content: bytes, status: int
) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    answer = await send(
        page, order, ("a.jpg", JPEG, "image/jpeg"), ("b.jpg", content, "image/jpeg")
    )
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert list((tmp_path / "files").iterdir()) == []
    assert await state(kit, order) is O.DISPATCHED


async def test_how_many_files_and_with_what(kit: Kit, tmp_path: Path) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    many = [(f"{n}.jpg", JPEG + bytes([n]), "image/jpeg") for n in range(MAX_FILES + 1)]
    assert (await send(page, order, *many)).status_code == 400
    assert (await send(page, order, many[0], says="sign")).status_code == 400
    assert list((tmp_path / "files").iterdir()) == []
    assert (await send(page, order, *many[:MAX_FILES])).status_code == 200
    assert len(await names(kit, order)) == MAX_FILES


async def test_the_same_form_twice_is_one_report(kit: Kit) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    for _ in range(2):
        await send(page, order, ("a.jpg", JPEG, "image/jpeg"), says="progress")
    assert len(await names(kit, order)) == 1


async def test_nobody_unknown_has_a_large_body_read(kit: Kit) -> None:
    order = await give(kit, kit.client())
    reader, writer = await asyncio.open_connection("127.0.0.1", kit.desk.port)
    head = (
        f"POST /unit/orders/{order}/say HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 30000000\r\n\r\n"
    )
    writer.write(head.encode() + b"--x\r\n")
    async with asyncio.timeout(5):
        assert b"401" in await reader.readline(), "answered before the body is there"
    writer.close()
    page = httpx.AsyncClient(base_url=kit.url, timeout=10.0)
    kit.clients.append(page)
    for path, kind in (("/unit/sign-in", "multipart/form-data; boundary=x"), ("/api/v1/x", "x/y")):
        answer = await page.post(path, content=bytes(70_000), headers={"Content-Type": kind})
        assert answer.status_code == 413


async def test_a_file_that_is_gone_or_altered_is_told_and_an_alarm(
    kit: Kit, tmp_path: Path
) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    await send(page, order, ("a.jpg", JPEG, "image/jpeg"))
    [name] = await names(kit, order)
    (tmp_path / "files" / name).write_bytes(JPEG + b"!")
    answer = await kit.client().http.get(f"orders/{order}/attachments/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "attachment-missing")
    assert f"file.{name[:12]}" in kit.view.alarms
    assert (await page.get(f"/unit/orders/{order}/files/{name}")).status_code == 404


async def put(kit: Kit, case: str, content: bytes, who: str = "T-8001", **more: Any) -> Any:
    return await kit.client(who).http.post(
        f"cases/{case}/attachments",
        content=content,
        headers={
            "Content-Type": "application/octet-stream",
            "Idempotency-Key": more.get("key", "attach-key-1"),
        },
    )


@pytest.mark.req("SB-34")
async def test_an_orders_files_cross_only_to_whom_they_may_and_that_is_journaled(kit: Kit) -> None:
    client, case = kit.client(), await a_case(kit)
    for _ in range(2):
        answer = await put(kit, case, JPEG)
        assert answer.status_code == 202, answer.text
    name = answer.json()["attachment"]
    assert (await client.get(f"cases/{case}"))["attachments"] == [name]
    body = {"units": ["water"], "words": "见图", "attachments": [name]}
    given = await client.do("POST", f"cases/{case}/orders", body)
    order = given.json()["orders"][0]["order"]
    page = await browser(kit)
    shown = await page.get(f"/unit/orders/{order}")
    assert name not in shown.text
    assert (await page.get(f"/unit/orders/{order}/files/{name}")).status_code == 404
    units: Any = kit.orders.orders.units
    units["water"] = replace(units["water"], may_receive=frozenset({"attachments"}))
    assert name in (await page.get(f"/unit/orders/{order}")).text
    assert (await page.get(f"/unit/orders/{order}/files/{name}")).content == JPEG
    facts = [entry.fact for entry in await kit.store.reader.entries_after(0)]
    crossed = [fact.data["fields"] for fact in facts if fact.kind == "audit.shown"]
    assert crossed[-1] == [f"attachment:{name}"]
    assert "attachments" not in crossed[0]  # type: ignore[operator]
    assert "attachments" in crossed[-2]  # type: ignore[operator]


async def test_what_the_desk_may_put_to_a_case_and_an_order_carry(kit: Kit) -> None:
    case = await a_case(kit)
    assert (await put(kit, case, b"<svg/>", key="attach-key-2")).status_code == 415
    assert (await put(kit, case, JPEG, "U", key="attach-key-3")).status_code == 403
    assert (await put(kit, "20200101-0001", JPEG, key="attach-key-4")).status_code == 404
    large = b"\xff\xd8\xff" + bytes(MAX_BYTES)
    assert (await put(kit, case, large, key="attach-key-5")).status_code == 413
    foreign = {"units": ["water"], "words": "见图", "attachments": [f"{'0' * 64}.jpg"]}
    answer = await kit.client().do("POST", f"cases/{case}/orders", foreign)
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-attachment")
    kit.orders.desk.files_beside = {case: {f"{'0' * 64}.jpg"}}.__getitem__
    given = await kit.client().do("POST", f"cases/{case}/orders", foreign)
    assert given.status_code == 202, "another desk has attached it"
    for bad in ("../../etc/passwd", f"{'0' * 64}.html5"):
        body = {**foreign, "attachments": [bad]}
        assert (await kit.client().do("POST", f"cases/{case}/orders", body)).status_code == 400


async def test_another_units_files_are_not_there(kit: Kit) -> None:
    order = await give(kit, kit.client(), units=["housing"])
    page = await browser(kit)
    assert (await page.get(f"/unit/orders/{order}/files/{'0' * 64}.jpg")).status_code == 404
    answer = await send(page, order, ("a.jpg", JPEG, "image/jpeg"))
    assert answer.status_code == 404
    assert await state(kit, order) is O.DISPATCHED


@pytest.mark.req("LL-39")
@pytest.mark.req("YJ-46")
async def test_equipment_and_a_reason_come_with_the_arrival(kit: Kit) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    data = {"says": "arrived", "words": "到", "equipment": "抽水泵", "delay_reason": "道路封闭"}
    await page.post(f"/unit/orders/{order}/say", data=data)
    found = await kit.orders.orders.find(order)
    assert found is not None
    assert (found.reports[0].equipment, found.reports[0].delay_reason) == ("抽水泵", "道路封闭")


@pytest.mark.req("LL-33")
async def test_a_unit_passes_on_from_its_page(kit: Kit) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    asks = {"says": "pass-on", "to": "housing", "words": "管线归住建局", "key": "on-1"}
    early = await page.post(f"/unit/orders/{order}/say", data=asks)
    assert early.status_code == 409
    assert "请先签收" in early.text
    done = {"says": "result", "words": "已止水"}
    await page.post(f"/unit/orders/{order}/say", data=done)
    assert "请求移交" in (await page.get(f"/unit/orders/{order}")).text
    answer = await page.post(f"/unit/orders/{order}/say", data=asks)
    assert answer.status_code == 200
    [draft] = kit.orders.orders.of("housing")
    onward: Any = draft.content["onward"]
    assert (draft.state, onward["stage"], onward["by"]) == (O.DRAFT, "事后", "U")
