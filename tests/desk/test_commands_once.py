"""Idempotency: a key does its command once and gives the same answer, whatever happens between."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from bridge.domain.acts import DialThird
from tests.desk.desk_kit import Kit, running, until

KEY = "5b1c1d1e-0000-4000-8000-000000000001"


def _dialled(kit: Kit) -> int:
    return sum(isinstance(act, DialThird) for act in kit.switch.acts)


async def test_the_same_key_gives_the_same_answer_and_calls_once(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, _ = await kit.talking()
        path, body = f"calls/{call}/three-way", {"to": "12345"}
        first = await client.do("POST", path, body, key=KEY)
        await until(lambda: kit.state(call) == "conferenced")
        again = await client.do("POST", path, body, key=KEY)
        assert (first.status_code, again.status_code) == (202, 202)
        assert again.json() == first.json()
        assert _dialled(kit) == 1


async def test_twenty_at_once_with_one_key_call_once(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, _ = await kit.talking()
        asked = [
            client.do("POST", f"calls/{call}/three-way", {"to": "12345"}, key=KEY)
            for _ in range(20)
        ]
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.text for answer in answers}) == 1
        assert _dialled(kit) == 1


async def test_a_refusal_is_repeated_even_when_it_would_be_possible_now(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, _ = await kit.talking()
        path = f"calls/{call}/retrieve"
        first = await client.do("POST", path, key=KEY)
        await client.do("POST", f"calls/{call}/hold", wait=3)
        again = await client.do("POST", path, key=KEY)
        fresh = await client.do("POST", path, wait=3)
        assert (first.status_code, again.status_code, fresh.status_code) == (409, 409, 200)
        assert again.json() == first.json()


async def test_a_key_used_for_something_else_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, leg = await kit.talking()
        await client.do("PUT", f"legs/{leg}/mute", {"on": True}, key=KEY)
        other = await client.do("PUT", f"legs/{leg}/mute", {"on": False}, key=KEY)
        foreign = await kit.client("L-8003").do("PUT", f"legs/{leg}/mute", {"on": True}, key=KEY)
        assert [other.status_code, foreign.status_code] == [422, 422]
        assert other.json()["code"] == "key-reused"
        assert kit.view.book.calls[call].legs[leg].muted is True


async def test_a_command_without_a_key_is_refused_with_the_mend(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, leg = await kit.talking()
        refused = await kit.client().do("PUT", f"legs/{leg}/mute", {"on": True}, key=None)
        assert (refused.status_code, refused.json()["code"]) == (400, "key-missing")
        assert "UUID" in refused.json()["title"]
        assert kit.view.book.calls[call].legs[leg].muted is False


async def test_after_a_restart_the_store_still_knows_the_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        path, body = f"calls/{call}/three-way", {"to": "12345"}
        first = await kit.client().do("POST", path, body, key=KEY)
        await until(lambda: kit.state(call) == "conferenced")
    async with running(tmp_path) as kit:
        again = await kit.client().do("POST", path, body, key=KEY)
        assert again.status_code == 202, again.text
        assert again.json() == first.json()
        assert _dialled(kit) == 0
        unknown = await kit.client().do("POST", path, body)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "no-such-call")


async def test_an_unknown_outcome_stays_unknown_for_that_key(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, _ = await kit.talking()
        kit.switch.behaviour["12345"] = "unknown"
        path, body = f"calls/{call}/three-way", {"to": "12345"}
        first = await client.do("POST", path, body, key=KEY)
        kit.switch.behaviour["12345"] = "accept"
        again = await client.do("POST", path, body, key=KEY)
        assert (first.status_code, first.json()["code"]) == (504, "outcome-unknown")
        assert again.json() == first.json()
        assert _dialled(kit) == 1


async def test_what_the_switch_refuses_is_told_and_the_call_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, _ = await kit.talking()
        kit.switch.behaviour["12345"] = "refused"
        refused = await client.do("POST", f"calls/{call}/three-way", {"to": "12345"})
        assert (refused.status_code, refused.json()["code"]) == (502, "switch-refused")
        await until(lambda: kit.view.book.calls[call].called() is None)
        assert kit.state(call) == "established"
        kit.switch.behaviour["12345"] = "accept"
        better = await client.do("POST", f"calls/{call}/three-way", {"to": "12345"}, wait=3)
        assert better.status_code == 200, better.text


async def test_a_client_that_goes_away_does_not_stop_its_command(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        async with kit.socket("T-8001") as socket:
            await socket.send('{"op":"hello"}')
            await socket.recv()
            args = {"call": call, "to": "12345"}
            message = {"op": "do", "id": KEY, "service": "SingleStepConferenceCall", "args": args}
            await socket.send(json.dumps(message))
            socket.transport.abort()
        await until(lambda: kit.state(call) == "conferenced")
        assert _dialled(kit) == 1
