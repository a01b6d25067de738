"""The unit's terminal: pages without scripts, the live line, and links in mails."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from bridge.desk.unit_socket import SUBPROTOCOL
from bridge.domain.order_state import O
from bridge.flows.ports import StoreError
from bridge.wire.ack_link import AckToken, sign
from tests.desk.desk_kit import ORIGIN, Kit, running, until
from tests.desk.test_orders_rest import HOSTILE, give

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest_asyncio.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with running(tmp_path) as made:
        yield made


async def browser(kit: Kit, who: str = "U") -> httpx.AsyncClient:
    """A browser in which somebody has signed in."""
    made = httpx.AsyncClient(base_url=kit.url, follow_redirects=True, timeout=10.0)
    kit.clients.append(made)
    await made.post("/unit/sign-in", data={"token": kit.tokens[who]})
    return made


@contextlib.asynccontextmanager
async def terminal(kit: Kit, who: str = "U") -> AsyncIterator[ClientConnection]:
    async with connect(
        kit.url.replace("http", "ws") + "/unit/events",
        additional_headers={"Cookie": f"unit={kit.tokens[who]}"},
        origin=Origin(ORIGIN),
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        proxy=None,
    ) as socket:
        yield socket


async def heard(socket: ClientConnection, op: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["op"] == op:
                return message


async def press(page: httpx.AsyncClient, order: str, says: str, **more: str) -> httpx.Response:
    return await page.post(f"/unit/orders/{order}/say", data={"says": says, "key": says, **more})


async def state(kit: Kit, order: str) -> O:
    found = await kit.orders.orders.find(order)
    assert found is not None
    return found.state


@pytest.mark.req("LL-54")
@pytest.mark.req("SB-36")
async def test_without_scripts_an_order_goes_from_signing_to_its_result(kit: Kit) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    listed = await page.get("/unit")
    assert order in listed.text
    assert "待签收" in listed.text
    for says, words, then in (
        ("sign", "", O.ACKNOWLEDGED),
        ("arrived", "", O.ARRIVED),
        ("progress", "正在抢修", O.ARRIVED),
        ("result", "已修复", O.CLOSED),
    ):
        answer = await press(page, order, says, words=words, person="张三")
        assert answer.status_code == 200, answer.text
        assert await state(kit, order) is then
        if says == "arrived":
            assert "请补报:现场情况" in answer.text
            [line] = (await kit.client().get("orders"))["orders"]
            assert line["missing"] == ["situation"]
    found = await kit.orders.orders.find(order)
    assert found is not None
    assert found.reports[-1].by == "张三"
    assert found.acknowledged is not None
    assert found.acknowledged["by"] == "张三"


async def test_a_promise_and_a_dispute_from_the_page(kit: Kit) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    await press(page, order, "promise", promised_at="2026-12-01T09:30", words="需换泵")
    answer = await press(page, order, "dispute", words="非我单位管线")
    assert "2026-12-01" in answer.text
    found = await kit.orders.orders.find(order)
    assert found is not None
    assert found.disputed
    promised = found.reports[0].promised_at
    assert promised is not None
    assert promised.astimezone(UTC).hour == 1, "local to the centre"


async def test_the_same_form_twice_counts_once(kit: Kit) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    for _ in range(2):
        await press(page, order, "progress", words="已派人")
    found = await kit.orders.orders.find(order)
    assert found is not None
    assert len(found.reports) == 1


async def test_looking_never_acts(kit: Kit) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    for path in ("/unit", f"/unit/orders/{order}", f"/unit/orders/{order}/say?says=sign"):
        await page.get(path)
        await page.head(path)
    assert await state(kit, order) is O.DISPATCHED


@pytest.mark.req("SB-34")
async def test_what_crossed_to_the_page_is_journaled_and_the_name_never_crosses(kit: Kit) -> None:
    order = await give(kit, kit.client(), caller_name="王某某")
    page = await browser(kit)
    shown = await page.get(f"/unit/orders/{order}")
    assert "13800138000" in shown.text
    assert "王某某" not in shown.text
    fact = await kit.journalled("audit.shown")
    assert fact.data["unit"] == "water"
    assert "caller_name" not in fact.data["fields"]  # type: ignore[operator]


async def test_hostile_words_are_text(kit: Kit) -> None:
    order = await give(kit, kit.client(), words=HOSTILE)
    page = await browser(kit)
    await press(page, order, "progress", words=HOSTILE)
    shown = await page.get(f"/unit/orders/{order}")
    assert "<script>alert" not in shown.text
    assert "&lt;script&gt;alert(1)" in shown.text
    assert shown.text.count("{{7*7}}") == 2, "neither words nor report were worked out"


async def test_another_units_order_is_not_there(kit: Kit) -> None:
    order = await give(kit, kit.client(), units=["housing"])
    page = await browser(kit)
    assert (await page.get(f"/unit/orders/{order}")).status_code == 404
    assert (await press(page, order, "sign")).status_code == 404
    assert await state(kit, order) is O.DISPATCHED


@pytest.mark.parametrize("who", ["T-8001", "A", None])
async def test_only_people_of_a_unit_come_in(kit: Kit, who: str | None) -> None:
    order = await give(kit, kit.client())
    page = httpx.AsyncClient(base_url=kit.url, timeout=10.0)
    kit.clients.append(page)
    if who is not None:
        answer = await page.post("/unit/sign-in", data={"token": kit.tokens[who]})
        assert answer.status_code == 401
    assert order not in (await page.get("/unit")).text
    assert (await press(page, order, "sign")).status_code == 401
    assert await state(kit, order) is O.DISPATCHED


async def test_a_foreign_page_cannot_press_a_button(kit: Kit) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    answer = await page.post(
        f"/unit/orders/{order}/say",
        data={"says": "sign"},
        headers={"Origin": "http://evil.example"},
    )
    assert answer.status_code == 403
    assert (
        "SameSite=strict"
        in (
            await page.post(
                "/unit/sign-in", data={"token": kit.tokens["U"]}, follow_redirects=False
            )
        ).headers["set-cookie"]
    )
    assert await state(kit, order) is O.DISPATCHED


@pytest.mark.parametrize(
    "bad",
    [
        {"says": "refuse"},
        {"says": "sign", "words": "a\x1ab"},
        {"says": "sign", "person": "x" * 65},
        {"says": "promise", "promised_at": "tomorrow"},
        {},
    ],
)
async def test_a_bad_form_is_said_to_be_bad(kit: Kit, bad: dict[str, str]) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    answer = await page.post(f"/unit/orders/{order}/say", data=bad, headers=FORM)
    assert answer.status_code == 400
    assert await state(kit, order) is O.DISPATCHED


@pytest.mark.req("SB-35")
async def test_a_connected_terminal_receives_reads_and_holds_the_next_wire_back(kit: Kit) -> None:
    async with terminal(kit) as socket:
        order = await give(kit, kit.client(), klass="GENERAL")
        pushed = await heard(socket, "order")
        assert pushed["order"] == order
        for op, then in (("received", "delivered"), ("read", "read")):
            await socket.send(json.dumps({"op": op, "attempt": pushed["attempt"]}))
            await until(lambda then=then: attempt_state(kit, order) == then)  # type: ignore[misc]
        found = await kit.orders.orders.find(order)
        assert found is not None
        assert len(found.attempts) == 1
        times = next(iter(found.attempts.values())).times
        assert times["sent"] <= times["delivered"], "sent-to-received is measured"
        await press(await browser(kit), order, "sign")
        assert (await heard(socket, "changed"))["order"] == order


def attempt_state(kit: Kit, order: str) -> str:
    record = kit.orders.orders.attempt(f"{order}.1")
    return record.state.value if record is not None else ""


async def test_an_order_waits_for_a_terminal_that_comes_back(kit: Kit) -> None:
    async with terminal(kit) as first:
        order = await give(kit, kit.client(), klass="GENERAL")
        await heard(first, "order")
    async with terminal(kit) as again:
        assert (await heard(again, "order"))["order"] == order


async def test_a_terminal_cannot_mark_what_is_not_its_own(kit: Kit) -> None:
    async with terminal(kit) as socket:
        order = await give(kit, kit.client(), units=["housing"])
        await socket.send(json.dumps({"op": "read", "attempt": f"{order}.1"}))
        await socket.send("nonsense")
        with pytest.raises(Exception, match="1008"):
            while True:
                await socket.recv()
    await until(lambda: attempt_state(kit, order) == "failed")


def token_for(order: str, expires: datetime | None = None, key: bytes = b"s" * 32) -> str:
    end = expires or datetime.now(UTC) + timedelta(days=1)
    return sign(AckToken(f"{order}.1", order, "water", end), key)


async def test_a_link_shows_on_get_and_signs_on_post_alone(kit: Kit) -> None:
    order = await give(kit, kit.client())
    link = f"/ack/{token_for(order)}"
    page = httpx.AsyncClient(base_url=kit.url, timeout=10.0)
    kit.clients.append(page)
    for _ in range(3):  # as mail gateways do
        assert order in (await page.get(link)).text
    assert await state(kit, order) is O.DISPATCHED
    signed = await page.post(link, data={"says": "sign", "person": "李四"})
    assert signed.status_code == 200
    assert "已签收" in signed.text
    again = await page.post(link, data={"says": "sign", "person": "李四"})
    assert again.status_code == 200
    found = await kit.orders.orders.find(order)
    assert found is not None
    assert found.acknowledged is not None
    assert found.acknowledged["channel"] == "mail"


async def test_links_that_are_not_ours_or_too_old_do_nothing(kit: Kit) -> None:
    order = await give(kit, kit.client())
    page = httpx.AsyncClient(base_url=kit.url, timeout=10.0)
    kit.clients.append(page)
    old = token_for(order, datetime.now(UTC) - timedelta(seconds=1))
    for link, status in (
        (token_for(order, key=b"x" * 32), 404),
        (token_for(order)[:-2] + "AA", 404),
        ("nonsense", 404),
        (old, 410),
    ):
        assert (await page.get(f"/ack/{link}")).status_code == status
        assert (await page.post(f"/ack/{link}", data={"says": "sign"})).status_code == status
    assert await state(kit, order) is O.DISPATCHED


async def test_files_of_the_page_are_served_and_json_is_no_form(kit: Kit) -> None:
    page = await browser(kit)
    for name in ("unit.js", "unit.css"):
        assert (await page.get(f"/unit/{name}")).status_code == 200
    answer = await page.post("/unit/sign-in", json={"token": "x"})
    assert answer.status_code == 415


class StoreAway:
    """`ports.OrderMemory` while the disk cannot be read."""

    async def order_facts(self, order: str) -> Any:
        raise StoreError("disk I/O error")


async def test_an_order_that_cannot_be_read_is_a_page_that_says_so(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    link = f"/ack/{token_for(order)}"
    monkeypatch.setattr(kit.orders.orders, "memory", StoreAway())
    monkeypatch.delitem(kit.orders.orders.book.orders, order)
    for answer in (
        await page.get(f"/unit/orders/{order}"),
        await press(page, order, "sign"),
        await page.get(link),
        await page.post(link, data={"says": "sign"}),
    ):
        assert answer.status_code == 503
        assert "text/html" in answer.headers["content-type"]
        assert 'role="alert"' in answer.text


async def test_what_cannot_be_journaled_is_not_shown(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await give(kit, kit.client())
    page = await browser(kit)
    monkeypatch.setattr("bridge.desk.unit_view.STORED_SECONDS", 0.0)
    for path in ("/unit", f"/unit/orders/{order}"):
        answer = await page.get(path)
        assert answer.status_code == 503
        assert order not in answer.text


async def test_the_list_is_asked_for_no_faster_than_anything_else(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await browser(kit)
    monkeypatch.setattr("bridge.desk.parts.Rates.take", lambda *_: False)
    assert (await page.get("/unit")).status_code == 429


async def test_links_are_looked_at_and_pressed_no_faster_than_their_rate(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good link has its own rate; wrong ones of one address share one, and spoil no good one."""
    first, second = await give(kit, kit.client()), await give(kit, kit.client())
    left: dict[str, int] = {}

    def take(_: object, name: str) -> bool:
        left[name] = left.get(name, 3) - 1
        return left[name] >= 0

    monkeypatch.setattr("bridge.desk.parts.Rates.take", take)
    page = httpx.AsyncClient(base_url=kit.url, timeout=10.0)
    kit.clients.append(page)
    wrong = [(await page.get(f"/ack/{name}")).status_code for name in ("a", "b", "c", "d")]
    assert wrong == [404, 404, 404, 429]
    link = f"/ack/{token_for(first)}"
    assert [(await page.get(link)).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert (await page.post(link, data={"says": "sign"})).status_code == 429
    assert await state(kit, first) is O.DISPATCHED
    signed = await page.post(f"/ack/{token_for(second)}", data={"says": "sign"})
    assert signed.status_code == 200
    assert await state(kit, second) is O.ACKNOWLEDGED
