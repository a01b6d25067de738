"""The platform link on real sockets, against a peer that knows only the published contract."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from bridge.channels.platform import PlatformAccess, PlatformClient, platform_door
from bridge.domain.errors import Refused
from bridge.domain.journal import Json, iso
from bridge.domain.peer import Answered
from bridge.domain.shared_case import SharedCase, as_doc, digest
from bridge.flows.outbox import NotDelivered
from bridge.flows.ports import Claimed, StoreError
from tests.live.platform_peer import PlatformPeer

KEY, NEXT = b"k" * 32, b"n" * 32
CASE = SharedCase(
    "C-1",
    "linyi",
    "GENERAL",
    words="路灯不亮",
    changed_at=datetime(2026, 3, 1, tzinfo=UTC),
    changed_by="linyi",
)


def message(case: SharedCase = CASE, key: str = "peer-0001") -> Claimed:
    """As the courier gives it."""
    body: dict[str, Json] = {
        "doc": as_doc(case),
        "case": case.id,
        "digest": digest(case),
        "since": iso(datetime.now(UTC)),
    }
    return Claimed(1, key, "platform.12345", body, datetime.now(UTC), 1)


@dataclass
class Sent:
    """What the client told of deliveries."""

    delivered: list[tuple[str, str]] = field(default_factory=list)

    async def note(self, peer: str, case: str, taken: str, since: datetime) -> None:
        self.delivered.append((peer, case))


@contextlib.asynccontextmanager
async def sending(url: str) -> AsyncIterator[tuple[PlatformClient, Sent]]:
    sent = Sent()
    access = PlatformAccess(peer="12345", url=url, keys=[KEY, NEXT])
    client = PlatformClient(access, sent.note, lambda: datetime.now(UTC))
    try:
        yield client, sent
    finally:
        await client.close()


@pytest.fixture
async def peer() -> AsyncIterator[PlatformPeer]:
    made = PlatformPeer(KEY)
    await made.start()
    yield made
    made.stop()


async def test_a_document_arrives_signed_and_a_repeat_is_the_same_post(peer: PlatformPeer) -> None:
    async with sending(peer.url) as (client, sent):
        await client.send(message())
        await client.send(message())
        assert sent.delivered == [("12345", "linyi/C-1")] * 2
    (arrived,) = peer.arrived
    assert arrived.document["schema"] == "bridge110.case/1"
    assert arrived.document["words"] == "路灯不亮"
    assert arrived.document["class"] == "GENERAL"


@pytest.mark.parametrize(("status", "away"), [(503, True), (429, True), (422, False), (404, False)])
async def test_a_refusal_says_whether_it_is_worth_trying_again(
    peer: PlatformPeer, status: int, away: bool
) -> None:
    peer.answer = status
    async with sending(peer.url) as (client, sent):
        with pytest.raises(NotDelivered, match=str(status)) as found:
            await client.send(message())
    assert found.value.refused is not away
    assert sent.delivered == []


async def test_a_clock_that_differs_is_named(peer: PlatformPeer) -> None:
    peer.skew = 4_000
    async with sending(peer.url) as (client, _):
        with pytest.raises(NotDelivered, match=r"differs by (39|40)\d\d s"):
            await client.send(message())
    assert peer.refused == [401]


async def test_a_peer_that_is_away_or_silent_or_talks_nonsense_is_undelivered() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        for port in (nobody.getsockname()[1], server.sockets[0].getsockname()[1]):
            async with sending(f"http://127.0.0.1:{port}/platform/110") as (client, _):
                with pytest.raises(NotDelivered) as found:
                    await client.send(message())
            assert not found.value.refused
    server.close()


# The door


@dataclass
class Taking:
    """Stands for the flow: remembers, or refuses."""

    got: list[tuple[str, str, SharedCase]] = field(default_factory=list)
    error: Exception | None = None

    async def __call__(
        self, peer: str, key: str, case: SharedCase, body_hash: str, signed_at: datetime
    ) -> Answered:
        if self.error is not None:
            raise self.error
        self.got.append((peer, key, case))
        return Answered(peer, key, signed_at, body_hash, {"case": case.id})


@contextlib.asynccontextmanager
async def door(taking: Taking, now: timedelta = timedelta()) -> AsyncIterator[str]:
    """The routes on a real socket; the address without the peer."""
    access = PlatformAccess(peer="12345", url="http://unused", keys=[NEXT, KEY])
    app = FastAPI()
    app.include_router(platform_door({"12345": access}, taking, lambda: datetime.now(UTC) + now))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(30):
                while not server.started:
                    await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/platform"
        finally:
            server.should_exit = True
            await running


SHORT: dict[str, Any] = {"schema": "bridge110.case/1.3", "case": "5-7", "words": "投诉", "new": 1}


async def test_only_the_peers_own_posts_come_in() -> None:
    taking, good, foreign = Taking(), PlatformPeer(KEY), PlatformPeer(b"x" * 32)
    async with door(taking) as base:
        assert (await good.send(f"{base}/12345", SHORT, "peer-aaaa"))[1] == {"case": "12345/5-7"}
        assert (await foreign.send(f"{base}/12345", SHORT))[0] == 401
        assert (await good.send(f"{base}/110", SHORT))[0] == 401  # nobody we know
    ((peer, key, case),) = taking.got
    assert (peer, key, case.origin, case.words) == ("12345", "peer-aaaa", "12345", "投诉")


async def test_an_old_clock_is_told_the_time() -> None:
    taking, peer = Taking(), PlatformPeer(KEY)
    async with door(taking, timedelta(hours=1)) as base:
        status, said = await peer.send(f"{base}/12345", SHORT)
    assert (status, said["code"]) == (401, "clock")
    there = datetime.fromisoformat(said["now"])
    assert abs(there - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=2)
    assert taking.got == []


async def test_what_cannot_be_taken_is_answered_clearly() -> None:
    taking, peer = Taking(), PlatformPeer(KEY)
    async with door(taking) as base:
        status, said = await peer.send(f"{base}/12345", {**SHORT, "place": "a\x00b"})
        assert (status, said["place"]) == (422, "place")
        for error, expected in ((StoreError("full"), 503), (Refused("key-reused"), 409)):
            taking.error = error
            assert (await peer.send(f"{base}/12345", SHORT))[0] == expected


async def test_the_schema_is_published() -> None:
    import urllib.request

    async with door(Taking()) as base:

        def get() -> Any:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"{base}/schema/case-1.json", timeout=20) as answer:
                return json.loads(answer.read())

        assert (await asyncio.to_thread(get))["title"] == "bridge110.case/1"


def test_secrets_are_not_in_what_is_shown() -> None:
    access = PlatformAccess(peer="1", url="u", keys=[b"hidden-key-hidden-key-hidden-key!"])
    assert "hidden" not in repr(access)
