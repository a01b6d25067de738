"""Who may do what, and how a refusal is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.desk.problems import DESK, STATUS
from bridge.domain.conversation import G
from bridge.domain.errors import _SENTENCES
from tests.desk.desk_kit import running, until


async def test_a_refused_service_says_the_state_and_what_is_possible(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        answer = await kit.client().do("POST", f"calls/{call}/alternate")
        problem = answer.json()
        assert answer.status_code == 409
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["code"] == "wrong-state"
        assert problem["title"] == "当前状态不能执行此操作"
        assert problem["state"] == "established"
        assert "ConsultationCall" in problem["possible"]


async def test_the_citizen_is_never_left_alone_without_a_word(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client()
        call, leg = await kit.talking()
        answer = await client.do("DELETE", f"legs/{leg}")
        assert (answer.status_code, answer.json()["code"]) == (409, "would-leave-citizen-alone")
        ending = await client.do("DELETE", f"legs/{call}")
        assert (ending.status_code, ending.json()["code"]) == (409, "needs-confirmation")
        assert kit.state(call) == "established"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("three-way", {"to": "99999"}, 404, "no-such-target"),
        ("three-way", {"to": "seat:8999"}, 404, "no-such-target"),
        ("three-way", {"to": "12345&PJSIP/evil"}, 400, "bad-request"),
        ("three-way", {"to": "12345", "extra": 1}, 400, "bad-request"),
        ("three-way", {}, 400, "bad-request"),
        ("three-way", None, 400, "bad-request"),
        ("three-way", {"to": 12345}, 400, "bad-request"),
        ("three-way", {"to": "12345", "seat": "8002"}, 403, "not-your-seat"),
        ("retrieve", {"seat": "8001\r\nX: y"}, 400, "bad-request"),
    ],
)
async def test_hostile_or_wrong_bodies_are_refused_and_nothing_is_done(
    tmp_path: Path, path: str, body: Any, status: int, code: str
) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        answer = await kit.client().do("POST", f"calls/{call}/{path}", body)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert kit.switch.acts == []


async def test_a_bad_body_is_told_with_its_place(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        answer = await kit.client().do("PATCH", "seats/8001/agent", {"state": "asleep"})
        (fault,) = answer.json()["errors"]
        assert fault["place"] == "body.state"
        assert "ready" in fault["words"]
        assert "asleep" not in answer.text


async def test_unknown_calls_legs_seats_and_addresses_are_404(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        client = kit.client("L-8003")
        codes = [
            (await client.do("POST", "calls/1.1/hold")).json()["code"],
            (await client.do("DELETE", "legs/nothing", confirm=True)).json()["code"],
            (await client.do("PUT", "seats/9999/agent", {"agent": "a"})).json()["code"],
            (await client.do("POST", "nowhere")).json()["code"],
            (await client.do("POST", "snapshot")).json()["code"],
        ]
        assert codes == [
            "no-such-call",
            "no-such-leg",
            "no-such-seat",
            "not-found",
            "wrong-method",
        ]


async def test_a_call_taker_acts_only_on_calls_of_the_own_seat(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, leg = await kit.talking()
        other = kit.client("T-8002")
        answers = [
            await other.do("POST", f"calls/{call}/three-way", {"to": "12345"}),
            await other.do("POST", f"calls/{call}/join"),
            await other.do("DELETE", f"calls/{call}", confirm=True),
            await other.do("DELETE", f"legs/{leg}", confirm=True),
            await other.do("PUT", f"legs/{leg}/mute", {"on": True}),
        ]
        assert [(a.status_code, a.json()["code"]) for a in answers] == [(423, "case-owned")] * 5
        seat = await other.do("PATCH", "seats/8001/agent", {"state": "ready"})
        assert (seat.status_code, seat.json()["code"]) == (403, "not-your-seat")
        assert kit.switch.acts == []


async def test_others_calls_are_not_shown_to_a_call_taker(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        other = kit.client("T-8002")
        assert (await other.get("snapshot"))["calls"] == []
        assert (await other.http.get(f"calls/{call}")).status_code == 404
        waiting = kit.switch.citizen_calls("13900139000")
        await until(lambda: kit.state(waiting) == "queued")
        shown = (await other.get("calls"))["calls"]
        assert [one["id"] for one in shown] == [waiting]


async def test_a_leader_acts_for_any_seat(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        leader = kit.client("L-8003")
        answer = await leader.do("POST", f"calls/{call}/three-way", {"to": "12345"}, wait=3)
        assert answer.status_code == 200, answer.text
        assert answer.json()["handoffs"][0]["seat"] == "8001"
        assert answer.json()["handoffs"][0]["actor"] == "L-8003"


@pytest.mark.parametrize("who", ["E", "U", "A", "P"])
async def test_engineer_unit_auditor_and_reader_change_nothing(tmp_path: Path, who: str) -> None:
    async with running(tmp_path) as kit:
        call, leg = await kit.talking()
        client = kit.client(who)
        answers = [
            await client.do("POST", f"calls/{call}/three-way", {"to": "12345"}),
            await client.do("DELETE", f"legs/{leg}", confirm=True),
            await client.do("PATCH", "seats/8001/agent", {"state": "ready"}),
        ]
        assert [a.json()["code"] for a in answers] == ["not-allowed"] * 3
        assert kit.switch.acts == []


@pytest.mark.parametrize(
    ("who", "calls", "seats"), [("E", 0, 3), ("A", 1, 3), ("P", 1, 3), ("L-8003", 1, 3)]
)
async def test_what_each_role_sees(tmp_path: Path, who: str, calls: int, seats: int) -> None:
    async with running(tmp_path) as kit:
        await kit.talking()
        shown = await kit.client(who).get("snapshot")
        assert (len(shown["calls"]), len(shown["seats"])) == (calls, seats)
        unit = await kit.client("U").http.get("snapshot")
        assert unit.status_code == 403


async def test_a_desk_bound_to_a_seat_acts_as_that_seat(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        answer = await kit.client("P-8001").do("POST", f"calls/{call}/hold", wait=3)
        assert answer.status_code == 200, answer.text
        refused = await kit.client("P-8001").do("POST", f"calls/{call}/intrude", {"mode": "listen"})
        assert refused.status_code == 403


async def test_a_refusal_of_somebody_signed_in_is_in_the_journal(tmp_path: Path) -> None:
    async with running(tmp_path) as kit:
        call, _ = await kit.talking()
        await kit.client("T-8002").do("POST", f"calls/{call}/hold")
        refused = await kit.journalled("audit.refused")
        assert (refused.actor, refused.call) == ("T-8002", call)
        assert refused.data["code"] == "case-owned"


def test_every_refusal_of_the_domain_has_a_status() -> None:
    conditions = {need.value for need in G}
    assert set(_SENTENCES) | conditions <= set(STATUS)
    assert all(400 <= status <= 504 for status in STATUS.values())
    assert not set(STATUS) & set(DESK)
