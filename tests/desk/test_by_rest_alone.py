"""The whole path of a call, driven by a REST client alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.domain.acts import DialThird
from tests.desk.desk_kit import Kit, running, until


async def _log_on(kit: Kit, who: str = "T-8001") -> None:
    client, seat = kit.client(who), who.partition("-")[2]
    on = await client.do("PUT", f"seats/{seat}/agent", {"agent": "王", "role": "110"})
    ready = await client.do("PATCH", f"seats/{seat}/agent", {"state": "ready"})
    assert (on.status_code, ready.status_code) == (202, 202), on.text + ready.text


@pytest.mark.req("LY-08")
async def test_a_110_call_is_handed_to_12345_in_a_three_way_call(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        await _log_on(kit)
        client = kit.client()
        call, own_leg = await kit.talking()
        (shown,) = (await client.get("snapshot"))["calls"]
        assert shown["id"] == call
        assert "SingleStepConferenceCall" in shown["possible"]
        asked = await client.do("POST", f"calls/{call}/three-way", {"to": "12345"}, wait=3)
        assert asked.status_code == 200, asked.text
        joined = asked.json()
        assert [leg["role"] for leg in joined["legs"]] == ["citizen", "seat", "hotline"]
        assert joined["handoffs"][0]["state"] == "joined"
        await until(lambda: kit.state(call) == "conferenced")
        left = await client.do("DELETE", f"legs/{own_leg}", wait=3)
        assert left.status_code == 200, left.text
        await until(lambda: kit.state(call) == "established")
        after = await client.get(f"calls/{call}")
        assert after["handoffs"][0]["state"] == "taken"
        assert {"requested", "ringing", "answered", "accepted", "joined", "taken"} <= set(
            after["handoffs"][0]["times"]
        )
        kit.switch.hangs_up(call)
        await until(lambda: kit.state(call) == "cleared")
        over = await client.get(f"calls/{call}")
        assert over["handoffs"][0]["outcome"] == "completed"
        assert (await client.get("snapshot"))["calls"] == []


async def test_a_transfer_lets_the_seat_go_after_a_person_has_accepted(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, own_leg = await kit.talking()
        kit.switch.behaviour["12345"] = "ring"
        asked = await client.do("POST", f"calls/{call}/transfer", {"to": "12345"})
        assert asked.status_code == 202, asked.text
        await until(lambda: any(isinstance(act, DialThird) for act in kit.switch.acts))
        await until(lambda: len(kit.view.book.calls[call].legs) == 3)
        assert kit.view.book.calls[call].legs[own_leg].live
        (third,) = (leg for leg in kit.view.book.calls[call].legs.values() if leg.handoff)
        kit.switch.accepts(third.id)
        await until(
            lambda: kit.view.book.calls[call].handoffs[asked.json()["handoff"]].state == "taken"
        )
        assert not kit.view.book.calls[call].legs[own_leg].live


async def test_a_consultation_is_swapped_and_merged(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, _ = await kit.talking()
        for path, body, state in (
            ("consult", {"to": "12345"}, "consulting"),
            ("alternate", None, "alternated"),
            ("alternate", None, "consulting"),
            ("conference", None, "conferenced"),
        ):
            answer = await client.do("POST", f"calls/{call}/{path}", body)
            assert answer.status_code == 202, (path, answer.text)
            await until(lambda state=state: kit.state(call) == state)  # type: ignore[misc]


async def test_hold_and_retrieve_come_about_while_the_client_waits(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, _ = await kit.talking()
        held = await client.do("POST", f"calls/{call}/hold", wait=3)
        assert held.status_code == 200, held.text
        assert held.json()["legs"][0]["held"] is True
        back = await client.do("POST", f"calls/{call}/retrieve", wait=3)
        assert back.status_code == 200, back.text
        assert back.json()["legs"][0]["held"] is False


async def test_a_third_being_called_is_cancelled(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, _ = await kit.talking()
        kit.switch.behaviour["12345"] = "ring"
        await client.do("POST", f"calls/{call}/three-way", {"to": "12345"})
        await until(lambda: len(kit.view.book.calls[call].legs) == 3)
        again = await client.do("POST", f"calls/{call}/three-way", {"to": "12345"})
        assert (again.status_code, again.json()["code"]) == (409, "third-already-called")
        ended = await client.do("POST", f"calls/{call}/cancel", wait=3)
        assert ended.status_code == 200, ended.text
        assert ended.json()["handoffs"][0]["outcome"] == "cancelled"
        assert kit.state(call) == "established"


async def test_a_seat_that_left_takes_the_call_back(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, own_leg = await kit.talking()
        await client.do("POST", f"calls/{call}/three-way", {"to": "12345"}, wait=3)
        await client.do("DELETE", f"legs/{own_leg}", wait=3)
        back = await client.do("POST", f"calls/{call}/join", wait=3)
        assert back.status_code == 200, back.text
        await until(lambda: kit.state(call) == "conferenced")
        (third,) = (leg for leg in kit.view.book.calls[call].legs.values() if leg.handoff)
        gone = await client.do("DELETE", f"legs/{third.id}", confirm=True, wait=3)
        assert gone.status_code == 200, gone.text
        assert gone.json()["handoffs"][0]["outcome"] == "taken_back"


async def test_one_leg_is_muted_and_heard_again(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, own_leg = await kit.talking()
        for on in (True, False):
            answer = await client.do("PUT", f"legs/{own_leg}/mute", {"on": on}, wait=3)
            assert answer.status_code == 200, answer.text
            assert kit.view.book.calls[call].legs[own_leg].muted is on


async def test_a_call_is_cleared_only_when_confirmed_and_the_citizen_goes_last(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, _ = await kit.talking()
        asked = await client.do("DELETE", f"calls/{call}")
        assert (asked.status_code, asked.json()["code"]) == (409, "needs-confirmation")
        assert kit.state(call) == "established"
        cleared = await client.do("DELETE", f"calls/{call}", confirm=True, wait=3)
        assert cleared.status_code == 200, cleared.text
        assert cleared.json()["outcome"] == "ended_by_desk"
        assert kit.switch.acts[-1].leg == call  # type: ignore[union-attr]


async def test_a_leader_listens_and_the_seat_may_not(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        refused = await kit.client().do("POST", f"calls/{call}/intrude", {"mode": "listen"})
        assert (refused.status_code, refused.json()["code"]) == (403, "not-allowed")
        leader = kit.client("L-8003")
        heard = await leader.do("POST", f"calls/{call}/intrude", {"mode": "listen"}, wait=3)
        assert heard.status_code == 200, heard.text
        assert heard.json()["legs"][-1]["role"] == "leader"


async def test_another_seat_is_called_into_the_case(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        asked = await kit.client().do(
            "POST", f"calls/{call}/three-way", {"to": "seat:8002"}, wait=3
        )
        assert asked.status_code == 200, asked.text
        assert asked.json()["legs"][-1]["seat"] == "8002"
        seen = await kit.client("T-8002").get("calls")
        assert [shown["id"] for shown in seen["calls"]] == [call]


async def test_a_seat_logs_on_in_a_role_and_off_again(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        await client.do("PUT", "seats/8001/agent", {"agent": "王", "role": "joint-action"})
        seat = await client.get("seats/8001")
        assert (seat["state"], seat["agent"], seat["role"]) == ("notReady", "王", "joint-action")
        again = await client.do("PUT", "seats/8001/agent", {"agent": "李"})
        assert (again.status_code, again.json()["code"]) == (409, "already-logged-on")
        await client.do("PATCH", "seats/8001/agent", {"state": "notReady", "reason": "用餐"})
        assert (await client.get("seats/8001"))["reason"] == "用餐"
        off = await client.do("DELETE", "seats/8001/agent")
        assert off.status_code == 202
        assert (await client.get("seats/8001"))["state"] == "loggedOff"
        assert [act.what for act in kit.switch.agents] == ["add", "remove"]
