"""What stands at the door: host, origin, size, time, rate, headers, tokens."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.desk.guard import MAX_BODY
from bridge.desk.server import MAX_HEAD
from bridge.desk.tokens import BURST, RATE, Rates, Tokens
from bridge.tokens import TokenRecord, digest, new_token
from tests.desk.desk_kit import ORIGIN, Kit, running, until
from tests.desk.test_attachments import put


async def _raw(kit: Kit, text: bytes) -> bytes:
    """Send bytes on a connection of their own; everything until the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", kit.desk.port)
    writer.write(text)
    async with asyncio.timeout(15):
        answer = await reader.read()
    writer.close()
    return answer


async def test_without_a_valid_token_nothing_is_shown(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        for header in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eA=="}):
            answer = await kit.client(None).http.get("snapshot", headers=header)
            assert (answer.status_code, answer.json()["code"]) == (401, "no-token")
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_health_needs_no_token_and_tells_no_number(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await kit.talking(number="13800138000")
        answer = await kit.client(None).http.get("health")
        assert answer.json()["status"] == "up"
        assert answer.json()["calls"] == 1
        assert "13800138000" not in answer.text


async def test_a_token_taken_out_of_the_file_works_no_longer(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client("T-8001")
        assert (await client.http.get("seats")).status_code == 200
        path = tmp_path / "tokens.jsonl"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
        async with asyncio.timeout(10):
            while (await client.http.get("seats")).status_code != 401:
                await asyncio.sleep(0.1)
        assert (await kit.client("T-8002").http.get("seats")).status_code == 200


def test_a_token_is_not_accepted_after_its_last_day() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    word = new_token()
    record = TokenRecord(
        name="T", role="T", seat="8001", sha256=digest(word), expires=now + timedelta(days=1)
    )
    times = [now]
    tokens = Tokens([record], lambda: times[0])
    before = tokens.grant(word)
    times[0] = now + timedelta(days=1)
    assert before is not None
    assert tokens.grant(word) is None
    assert not tokens.valid(before)


async def test_a_host_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        for host in ("evil.example", "127.0.0.1.evil.example", ""):
            answer = await _raw(
                kit, f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            )
            assert b" 400 " in answer.splitlines()[0], host
            assert b"bad-host" in answer
        good = await _raw(kit, b"GET / HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n")
        assert b" 200 " in good.splitlines()[0]


async def test_a_foreign_page_cannot_command(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        for origin, status in (("http://evil.example", 403), ("null", 403), (ORIGIN, 202)):
            client.http.headers["Origin"] = origin
            answer = await client.do("PUT", "seats/8001/agent", {"agent": "a"})
            assert answer.status_code == status, origin
        assert [act.what for act in kit.switch.agents] == ["add"]


async def test_a_body_of_any_other_type_than_json_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            headers = {"Content-Type": kind, "Idempotency-Key": "k" * 20}
            answer = await client.http.put(
                "seats/8001/agent", content=b'{"agent": "a"}', headers=headers
            )
            assert (answer.status_code, answer.json()["code"]) == (415, "not-json")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_refused_before_it_is_read(tmp_path: Path, chunked: bool) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()

        async def pieces() -> object:
            for _ in range(MAX_BODY // 1024 + 2):
                yield b" " * 1024

        content = pieces() if chunked else b" " * (MAX_BODY + 1)
        answer = await client.http.put(
            "seats/8001/agent",
            content=content,  # type: ignore[arg-type]
            headers={"Content-Type": "application/json", "Idempotency-Key": "k" * 20},
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n"])
async def test_a_large_head_ends_the_connection_at_once(tmp_path: Path, end: bytes) -> None:
    async with running(tmp_path) as kit:
        head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Filler: " + b"a" * (MAX_HEAD + 1) + end
        started = time.monotonic()
        answer = await _raw(kit, head)
        assert b" 400 " in answer.splitlines()[0]
        assert time.monotonic() - started < 5


async def test_a_body_that_never_comes_is_given_up(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        started = time.monotonic()
        answer = await _raw(
            kit,
            b"PUT /api/v1/seats/8001/agent HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
        )
        assert b"too-late" in answer
        assert 8 < time.monotonic() - started < 14


async def test_a_head_that_never_ends_is_given_up(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        started = time.monotonic()
        assert await _raw(kit, b"GET / HTTP/1.1\r\nHost: loc") == b""
        assert 4 < time.monotonic() - started < 12


def test_a_token_is_answered_so_often_a_second_and_no_more() -> None:
    clock = [100.0]
    rates = Rates(lambda: clock[0])
    at_once = [rates.take("a") for _ in range(int(BURST) + 10)]
    assert at_once == [True] * int(BURST) + [False] * 10
    assert rates.take("b")
    clock[0] += 1.0
    after = [rates.take("a") for _ in range(int(RATE) + 10)]
    assert after == [True] * int(RATE) + [False] * 10


async def test_too_many_requests_are_told_so(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        asked = (client.http.get("targets") for _ in range(int(BURST) * 3))
        codes = [answer.status_code for answer in await asyncio.gather(*asked)]
        assert 200 in codes
        assert 429 in codes
        assert (await kit.client("T-8002").http.get("targets")).status_code == 200


async def test_an_answer_does_not_wait_for_the_clients_acknowledgement(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        took = []
        for _ in range(20):
            started = time.monotonic()
            await client.get("targets")
            took.append(time.monotonic() - started)
        assert min(took) < 0.03  # Nagle and a delayed ACK would make each 0.04


async def test_every_answer_keeps_browsers_from_anything_but_our_pages(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client(None)
        for path in ("/", "/console/board.js", "/console/board.css", "/api/v1/snapshot", "/no"):
            answer = await client.http.get(f"{kit.url}{path}")
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert f"connect-src 'self' ws{ORIGIN.removeprefix('http')}" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_board_is_served_and_sets_text_not_html(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        page = await kit.client(None).http.get(f"{kit.url}/")
        script = await kit.client(None).http.get(f"{kit.url}/console/board.js")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert '<html lang="zh-CN">' in page.text
        assert not any(mark in page.text for mark in ("<style", "onclick", "style=", "http://"))
        assert not any(
            mark in script.text for mark in ("innerHTML", "eval(", "document.write", "localStorage")
        )


async def test_reading_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        await until(lambda: kit.room._recorder.waiting == 0)
        client = kit.client("L-8003")
        case = kit.room.book.calls[call].case
        picture = (await put(kit, case, b"\xff\xd8\xff")).json()["attachment"]
        body = {"units": ["bank"], "words": "演练", "drill": True, "attachments": [picture]}
        given = await client.do("POST", f"cases/{case}/orders", body)
        names = {"call": call, "seat": "8001", "leg": call, "case": case, "unit": "bank"}
        names["name"] = picture
        names["order"] = given.json()["orders"][0]["order"]
        before = kit.store.head().seq
        document = await client.get("openapi.json")
        paths = [path for path, methods in document["paths"].items() if "get" in methods]
        for path in paths:
            answer = await client.http.get(f"{kit.url}{path.format(**names)}")
            assert answer.status_code == 200, path
        assert len(paths) >= 7
        assert kit.store.head().seq == before


async def test_json_that_is_no_json_is_told_and_nothing_more(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        for content in (b"{", b"\xff\xfe", json.dumps([1] * 9).encode(), b"[" * 50_000):
            answer = await kit.client().http.put(
                "seats/8001/agent",
                content=content,
                headers={"Content-Type": "application/json", "Idempotency-Key": "k" * 20},
            )
            assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
