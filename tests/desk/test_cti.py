"""The CTI WebSocket: welcome, numbered events, resume, commands, and who is let go."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from bridge.desk.cti import BAD_MESSAGES, HEARTBEAT_SECONDS, SUBPROTOCOL
from bridge.flows.subscription import QUEUE
from bridge.flows.view import RING
from tests.desk.desk_kit import ORIGIN, Kit, running, until


async def _end(socket: ClientConnection) -> int:
    """The code with which the server ended the connection, whatever it sent before."""
    try:
        async with asyncio.timeout(20):
            while True:
                await socket.recv()
    except ConnectionClosed as closed:
        return int(closed.rcvd.code) if closed.rcvd else 1006


async def test_after_connecting_first_the_snapshot_then_numbered_changes(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        async with kit.cti() as events:
            assert events.welcome["op"] == "welcome"
            assert [one["id"] for one in events.welcome["snapshot"]["calls"]] == [call]
            assert events.socket.subprotocol == SUBPROTOCOL
            kit.switch.hangs_up(call)
            over = await events.of_type("call.cleared")
            numbers = [one["seq"] for one in events.seen if "type" in one]
            assert over["data"]["outcome"] == "citizen_left"
            assert numbers == list(range(events.welcome["seq"] + 1, numbers[-1] + 1))


async def test_a_three_way_is_asked_for_and_its_events_name_the_command(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, leg = await kit.talking()
        key = "c0ffee00-0000-4000-8000-000000000001"
        async with kit.cti() as events:
            got = await events.do("SingleStepConferenceCall", key=key, call=call, to="12345")
            assert (got["op"], got["answer"]["call"]) == ("accepted", call)
            await until(lambda: kit.state(call) == "conferenced")
            await events.do("ClearConnection", leg=leg)
            taken = await events.of_type("call.transferred")
            of_command = [e["type"] for e in events.seen if (e.get("cause") or {}) != {}]
            joined = next(e for e in events.seen if e.get("type") == "handoff.joined")
            merged = next(e for e in events.seen if e.get("type") == "call.conferenced")
        assert joined["cause"] == {"command": key, "code": "SingleStepConferenceCall"}
        assert {"handoff.requested", "call.delivered", "call.established"} <= set(of_command)
        roles = [one["role"] for one in merged["data"]["legs"]]
        assert roles == ["citizen", "seat", "hotline"]
        assert taken["data"]["from"] == "8001"
        assert taken["data"]["target"] == "12345"


async def test_events_are_only_of_what_is_durable(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        async with kit.cti("L-8003") as events:
            call = kit.switch.citizen_calls()
            offered = await events.of_type("call.offered")
            stored = [e.fact.kind for e in await kit.store.reader.entries_after(0)]
        assert offered["call"] == call
        assert "call.offered" in stored


async def test_a_client_resumes_where_it_stopped(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        async with kit.cti() as events:
            stopped = {"epoch": events.welcome["epoch"], "seq": events.welcome["seq"]}
        kit.switch.hangs_up(call)
        await until(lambda: kit.state(call) == "cleared")
        async with kit.cti(resume=stopped) as events:
            assert "snapshot" not in events.welcome
            await events.of_type("call.cleared")
            numbers = [one["seq"] for one in events.seen if "type" in one]
        assert numbers[0] == stopped["seq"] + 1


@pytest.mark.parametrize("resume", [{"epoch": "other", "seq": 0}, {"epoch": None, "seq": 10**6}])
async def test_another_epoch_or_a_number_from_the_future_gets_a_snapshot(
    tmp_path: Path, resume: dict[str, Any]
) -> None:
    async with running(tmp_path) as kit:
        resume = {**resume, "epoch": resume["epoch"] or kit.view.epoch}
        async with kit.cti(resume=resume) as events:
            assert events.welcome["snapshot"]["epoch"] == kit.view.epoch


async def test_who_was_away_too_long_gets_a_snapshot(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        for _ in range(RING + 1):
            kit.view.link("fax", {"state": "up"})
        async with kit.cti(resume={"epoch": kit.view.epoch, "seq": 0}) as events:
            assert "snapshot" in events.welcome
        async with kit.cti(resume={"epoch": kit.view.epoch, "seq": RING}) as events:
            assert "snapshot" not in events.welcome


async def test_a_heartbeat_comes_every_five_seconds_with_time_and_number(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        started = time.monotonic()
        async with kit.cti() as events:
            beat = await events.of_type("heartbeat")
            assert HEARTBEAT_SECONDS - 0.5 < time.monotonic() - started < HEARTBEAT_SECONDS + 2
            assert beat["data"]["seq"] == kit.view.seq
            assert beat["data"]["now"].endswith("+00:00")


async def test_a_slow_client_is_dropped_and_the_others_never_wait(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        slow = sockets.socket()
        slow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", kit.desk.port))
        headers = {"Authorization": f"Bearer {kit.tokens['L-8003']}"}
        async with (
            kit.cti("A") as quick,
            connect(
                f"ws://127.0.0.1:{kit.desk.port}/cti",
                sock=slow,
                additional_headers=headers,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                proxy=None,
                max_queue=1,
            ) as stuck,
        ):
            await stuck.send('{"op":"hello"}')
            await stuck.recv()
            stuck.transport.pause_reading()
            with capture_logs() as lines:
                counted = await _flood(kit, quick, lambda: "cti.closed" in str(lines))
            assert counted == kit.view.seq
            assert [line["code"] for line in lines if line["event"] == "cti.closed"] == [4008]
            stuck.transport.resume_reading()
            # Who reads on soon hears why; who does not is cut off.
            assert await _end(stuck) in (4008, 1006)


async def _flood(kit: Kit, quick: Any, over: Callable[[], bool]) -> int:
    """Events until `over`, 60 rounds at most; the number last heard."""
    last = 0
    for _ in range(60):
        if over():
            break
        for _ in range(QUEUE // 2):
            kit.view.link("radio", {"state": "up", "words": "x" * 1000})
        while last < kit.view.seq:
            message = await quick.next()
            last = message.get("seq", 0) if "type" in message else last
    return last


async def test_a_foreign_page_cannot_open_the_socket(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        for who, origin in (("T-8001", "http://evil.example"), ("T-8001", "null"), (None, None)):
            with pytest.raises(InvalidStatus) as refused:
                async with kit.socket(who, origin=origin):
                    pass
            assert refused.value.response.status_code == 403


async def test_a_wrong_token_in_the_header_is_refused_before_the_socket_opens(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as kit:
        kit.tokens["T-8001"] = "x" * 43
        with pytest.raises(InvalidStatus) as refused:
            async with kit.socket("T-8001"):
                pass
        assert refused.value.response.status_code == 401


async def test_our_own_page_signs_in_with_its_first_message(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.socket(None, origin=ORIGIN) as socket:
        await socket.send(json.dumps({"op": "hello", "token": kit.tokens["T-8001"]}))
        welcome = json.loads(await socket.recv())
        assert (welcome["op"], welcome["seat"]) == ("welcome", "8001")


async def _closed_with(kit: Kit, message: str | bytes, protocol: str = SUBPROTOCOL) -> int:
    async with kit.socket(None, origin=ORIGIN, protocol=protocol) as socket:
        await socket.send(message)
        return await _end(socket)


async def test_each_wrong_beginning_has_its_close_code(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        assert await _closed_with(kit, '{"op":"hello","token":"wrong"}') == 4001
        assert await _closed_with(kit, '{"op":"hello"}') == 4001
        assert await _closed_with(kit, '{"op":"do"}') == 1008
        assert await _closed_with(kit, "[" * 60_000) == 1008
        assert await _closed_with(kit, b"\x00\x01") == 1008
        assert await _closed_with(kit, "x" * 70_000) == 1009


async def test_another_version_of_the_protocol_is_told_so(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.socket(protocol="bridge110.cti.v9") as socket:
        assert await _end(socket) == 4010


async def test_who_says_nothing_is_not_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.socket() as socket:
        assert await _end(socket) == 1008


async def test_messages_that_cannot_be_read_are_refused_and_then_end_it(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.cti() as events:
        for text in ("{", '{"op":"do","id":"abcdefgh","service":1}', '{"op":"fly"}', "[]"):
            await events.socket.send(text)
            refused = await events.next()
            assert (refused["op"], refused["problem"]["code"]) == ("refused", "bad-request")
        for _ in range(BAD_MESSAGES):
            await events.socket.send("{")
        assert await _end(events.socket) == 1008


@pytest.mark.parametrize(
    ("service", "args", "code"),
    [
        ("FlyAway", {}, "bad-request"),
        ("ConsultationCall", {}, "bad-request"),
        ("HoldCall", {"call": "1.1"}, "no-such-call"),
        ("SetMicrophoneMute", {"leg": "nothing"}, "no-such-leg"),
        ("SetAgentState", {"seat": "8002", "state": "ready"}, "not-your-seat"),
        ("SetAgentState", {"state": "ready"}, "not-logged-on"),
    ],
)
async def test_a_refused_service_comes_back_as_a_problem(
    tmp_path: Path, service: str, args: dict[str, Any], code: str
) -> None:
    async with running(tmp_path) as kit, kit.cti() as events:
        refused = await events.do(service, **args)
        assert (refused["op"], refused["problem"]["code"]) == ("refused", code)


async def test_an_agent_logs_on_by_socket_and_everybody_hears_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.cti() as events, kit.cti("T-8002") as other:
        assert (await events.do("LogOn", agent="王"))["op"] == "accepted"
        assert (await events.do("SetAgentState", state="ready"))["op"] == "accepted"
        heard = await other.of_type("agent.ready")
        assert heard["seat"] == "8001"
        assert heard["data"]["state"] == "ready"


async def test_others_calls_are_not_heard_by_a_call_taker(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.cti("T-8002") as other:
        call, _ = await kit.talking("8001")
        taken = await other.of_type("call.established")
        kit.switch.hangs_up(call)
        await until(lambda: kit.state(call) == "cleared")
        own, _ = await kit.talking("8002", "13900139000")
        await other.until(lambda e: e.get("call") == own and e.get("type") == "call.established")
        after = [e for e in other.seen if e.get("call") == call and e["seq"] > taken["seq"] + 1]
        assert [e["type"] for e in after if e["type"] == "call.cleared"] == []


async def test_an_engineer_hears_of_seats_and_links_but_of_no_case(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.cti("E") as events:
        await kit.talking()
        kit.view.link("trunk", {"state": "down"})
        assert (await events.of_type("link.trunk"))["data"]["state"] == "down"
        assert [e for e in events.seen if e.get("call") or e.get("case")] == []
        assert events.welcome["snapshot"]["calls"] == []


async def test_only_what_was_subscribed_is_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.cti("L-8003", subscribe=["seat:8002"]) as events:
        first, _ = await kit.talking("8001")
        await kit.client("T-8002").do("PUT", "seats/8002/agent", {"agent": "b"})
        await events.of_type("agent.loggedOn")
        assert [e for e in events.seen if e.get("call") == first] == []
        await events.socket.send(json.dumps({"op": "subscribe", "topics": ["case:*"]}))
        await events.do("LogOff", seat="8002")
        second = kit.switch.citizen_calls("13900139000")
        assert (await events.of_type("call.offered"))["call"] == second


async def test_a_token_taken_away_ends_the_connection(tmp_path: Path) -> None:
    async with running(tmp_path) as kit, kit.cti() as events:
        (tmp_path / "tokens.jsonl").write_text("")
        assert await _end(events.socket) == 4001
