"""Ground `desk`: REST and WebSocket of a whole desk; store, flows and port are real."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

from typer.testing import CliRunner

from bridge.asterisk.acts import Acts
from bridge.cli import app
from bridge.documents.service import Documents
from bridge.domain.acts import DialThird
from bridge.store import verify as proving
from bridge.wire.ami import Message, encode_action
from tests.attack.corpus import Hostile
from tests.attack.doors import door, output
from tests.attack.outputs import is_plain, journal_is_whole
from tests.desk.desk_kit import TARGETS, Client, Events, Kit, running, until
from tests.settings.settings_kit import make_places, shipped

AT_ONCE = 8
ORDER = {"units": ["water"], "words": "水管爆裂", "place": "解放路1号", "klass": "GENERAL"}
HEADERS = ("Idempotency-Key", "Authorization", "Host", "Origin", "User-Agent", "X-Forwarded-For")


@dataclass
class DeskGround:
    """A desk in which a citizen talks with seat 8001, and all that its leader is told."""

    kit: Kit
    place: Path
    call: str
    case: str
    events: Events
    told: list[dict[str, Any]] = field(default_factory=list)

    def client(self, who: str = "T-8001") -> Client:
        return self.kit.client(who)

    async def each(self, strings: Sequence[Hostile], push: Any, at_once: int = AT_ONCE) -> None:
        """A few strings at a time through the same door."""
        turn = asyncio.Semaphore(at_once)

        async def one(hostile: Hostile) -> None:
            async with turn:
                await push(hostile)

        async with asyncio.TaskGroup() as tasks:
            for hostile in strings:
                tasks.create_task(one(hostile))


@asynccontextmanager
async def desk_ground(place: Path, documents: Documents) -> AsyncIterator[DeskGround]:
    """`documents` draws what is printed."""
    async with running(place, paper=documents.paper) as kit:
        kit.desk._server._server.config.limit_concurrency = None
        call, _ = await kit.talking()
        async with kit.cti("L-8003") as events:
            case = kit.view.book.calls[call].case
            ground = DeskGround(kit, place, call, case, events)
            listening = asyncio.create_task(_listen(ground))
            try:
                yield ground
            finally:
                listening.cancel()


async def _listen(ground: DeskGround) -> None:
    async for message in ground.events.socket:
        ground.told.append(json.loads(message))


def _text(one: Hostile) -> str:
    """As JSON can carry it; a lone surrogate goes as an escape."""
    return one.text


async def refused_or_done(answer: Any, one: Hostile) -> None:
    """A body in JSON; a refusal is a problem document that repeats nothing of the string."""
    document = json.loads(answer.content)
    if answer.status_code >= 400:
        assert answer.status_code != 500, (one, document)
        assert set(document) >= {"type", "status", "code"}, (one, document)
        if len(one.text) > 12:
            assert one.text not in json.dumps(document, ensure_ascii=False), (one, document)


async def _send(client: Client, method: str, path: str, body: Any) -> Any:
    """A body with any string in it, lone surrogates too."""
    headers = {"Idempotency-Key": secrets.token_hex(12), "Content-Type": "application/json"}
    return await client.http.request(
        method, path, content=json.dumps(body).encode(), headers=headers
    )


async def new_order(ground: DeskGround) -> str:
    """An order of that case; its number."""
    made = await ground.client().do("POST", f"cases/{ground.case}/orders", ORDER)
    return str(made.json()["orders"][0]["order"])


@door("desk", "REST: agent and reason")
async def rest_agent(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    client = ground.client("T-8002")
    for one in strings:
        body = {"agent": _text(one), "role": "110"}
        answer = await _send(client, "PUT", "seats/8002/agent", body)
        await refused_or_done(answer, one)
        if answer.status_code == 202:
            reason = {"state": "notReady", "reason": _text(one)}
            await refused_or_done(await _send(client, "PATCH", "seats/8002/agent", reason), one)
            assert (await client.do("DELETE", "seats/8002/agent")).status_code == 202, one


@door("desk", "REST: role")
async def rest_role(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    client = ground.client("T-8002")

    async def push(one: Hostile) -> None:
        body = {"agent": "王", "role": _text(one), "unknown": _text(one)}
        await refused_or_done(await _send(client, "PUT", "seats/8002/agent", body), one)

    await ground.each(strings, push)


@door("desk", "REST: whom to call")
async def rest_target(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    client = ground.client()

    async def push(one: Hostile) -> None:
        for to in (_text(one), "seat:" + _text(one), "group:" + _text(one)):
            answer = await _send(client, "POST", f"calls/{ground.call}/three-way", {"to": to})
            assert answer.status_code in (400, 404, 409), (one, answer.text)
            await refused_or_done(answer, one)

    await ground.each(strings, push)


@door("desk", "REST: paths and queries")
async def rest_paths(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    client = ground.client()

    async def push(one: Hostile) -> None:
        part = quote_from_bytes(one.raw, safe="")[:6000]
        for method, path in (
            ("GET", f"calls/{part}"),
            ("POST", f"calls/{part}/hold"),
            ("PUT", f"seats/{part}/agent"),
            ("DELETE", f"legs/{part}?confirm={part}&wait={part}"),
            ("GET", f"orders?state={part}&before={part}"),
        ):
            answer = await client.http.request(
                method,
                path,
                headers={"Idempotency-Key": secrets.token_hex(12)},
                json={"agent": "x"} if method == "PUT" else None,
            )
            assert answer.status_code < 500, (one, path[:60], answer.text)
            assert is_plain(answer.text), (one, answer.text)

    await ground.each(strings, push)


@door("desk", "HTTP headers")
async def http_headers(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    """As bytes on the wire: nothing checks them before our own server."""
    token = ground.kit.tokens["T-8001"].encode()

    async def send(one: Hostile, name: str) -> None:
        good = {"Host": b"localhost", "Authorization": b"Bearer " + token}
        lines = {**good, "Connection": b"close", "Content-Length": b"0", name: one.raw}
        head = b"".join(b"%s: %s\r\n" % (n.encode(), value) for n, value in lines.items())
        path = f"/api/v1/calls/{ground.call}/retrieve"
        reader, writer = await asyncio.open_connection("127.0.0.1", ground.kit.desk.port)
        writer.write(b"POST %s HTTP/1.1\r\n" % path.encode() + head + b"\r\n")
        answer = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(20):
                answer = await reader.read()
        writer.close()
        assert answer.split(b" ")[1:2] != [b"500"], (one, name, answer[:300])
        assert b"x-injected" not in answer.lower(), (one, name)

    async def push(one: Hostile) -> None:
        await asyncio.gather(*(send(one, name) for name in HEADERS))

    await ground.each(strings, push, at_once=60)


@door("desk", "WebSocket")
async def websocket(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    kit = ground.kit

    async def push(one: Hostile) -> None:
        text = _text(one)
        async with kit.socket("T-8002") as socket:
            await socket.send(json.dumps({"op": "hello", "subscribe": ["seat:8002"]}))
            assert json.loads(await socket.recv())["op"] == "welcome"
            for message in (
                {"op": "do", "id": secrets.token_hex(8), "service": text, "args": {}},
                {"op": "do", "id": text, "service": "HoldCall", "args": {"call": ground.call}},
                {
                    "op": "do",
                    "id": secrets.token_hex(8),
                    "service": "SingleStepConferenceCall",
                    "args": {"call": ground.call, "to": text},
                },
                {"op": "subscribe", "topics": [text]},
            ):
                await socket.send(json.dumps(message))
                async with asyncio.timeout(10):
                    while (answer := json.loads(await socket.recv())).get("op") is None:
                        pass  # events of the seat
                assert answer["op"] == "refused", (one, answer)
        async with kit.socket(None, origin="http://desk.example") as socket:
            raw = one.raw.decode("utf-8", "replace")
            await socket.send(
                raw if len(one.text) % 2 else json.dumps({"op": "hello", "token": text})
            )
            async with asyncio.timeout(10):
                await socket.wait_closed()
            assert socket.close_code in (1008, 4001), (one, socket.close_code)

    await ground.each(strings, push)


class Link:
    """Takes what would be sent to Asterisk."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    async def call(self, action: str, headers: Any = None, **_: Any) -> Message:
        encode_action(action, headers or {}, "id")
        self.sent.append((action, dict(headers or {})))
        return Message(b"Response: Success")


@output("desk", "acts on the switch")
async def acts(ground: DeskGround, _: Sequence[Hostile]) -> None:
    """Nobody but the configured is called, and no outside word goes along."""
    for act in ground.kit.switch.acts:
        assert isinstance(act, DialThird), act
        assert act.target in TARGETS.values(), act
    link = Link()
    carried = Acts(
        link,  # type: ignore[arg-type]
        queue="q110",
        nonce=lambda _: "",
        spawn=lambda work, _: work.close(),
    )
    for agent in ground.kit.switch.agents:
        await carried.agent(agent)
    for action, headers in link.sent:
        assert action in ("QueueAdd", "QueueRemove", "QueuePause"), action
        for value in headers.values():
            assert re.fullmatch(r"[A-Za-z0-9/]+", value), (action, headers)


@output("desk", "journal")
async def journal(ground: DeskGround, _: Sequence[Hostile]) -> None:
    await until(lambda: ground.kit.room._recorder.waiting == 0)
    entries, after = [], 0
    while page := await ground.kit.store.reader.entries_after(after):
        entries += [entry.fact for entry in page]
        after = page[-1].seq
    assert len(entries) > 50
    journal_is_whole(entries)
    verdict = await asyncio.to_thread(proving.verify, ground.kit.store.path)
    assert verdict.fault is None


@output("desk", "what desks are told")
async def told(ground: DeskGround, _: Sequence[Hostile]) -> None:
    """One JSON message of a kind of ours each; the citizen's call as it was."""
    assert ground.told
    for message in ground.told:
        assert re.fullmatch(r"[a-z]+\.[A-Za-z]+|heartbeat", message["type"]), message
    snapshot = await ground.client("L-8003").get("snapshot")
    assert [call["state"] for call in snapshot["calls"]] == ["established"]
    assert len(snapshot["calls"][0]["legs"]) == 2
    assert {seat["id"] for seat in snapshot["seats"]} == {"8001", "8002", "8003"}


@output("desk", "command line")
async def command_line(ground: DeskGround, _: Sequence[Hostile]) -> None:
    """What a terminal is given holds no character that acts on it."""
    config = ground.place / "bridge.toml"
    text = make_places(ground.place, shipped())
    text = re.sub(r'"[^"]*bridge110\.db"', json.dumps(str(ground.kit.store.path)), text)
    config.write_text(text, encoding="utf-8")
    for words in (["case", "list"], ["case", "show", ground.case], ["case", "export", ground.case]):
        for more in ([], ["--json"]):
            command = [*words, *more, "--config", str(config)]
            done = await asyncio.to_thread(CliRunner().invoke, app, command)
            assert done.exit_code == 0, (words, done.output)
            assert is_plain(done.output), words
