"""The record of real calls: complete, provable, the same when built again from the journal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bridge.domain.journal import Fact
from bridge.lab.settings_file import NON_POLICE, STORE_FILE
from bridge.lab.tones import SECOND_SEAT
from bridge.lab.world import World
from bridge.store.reader import Reader
from tests.live.people import fetched, talk
from tests.live.room import Room, room_of
from tests.live.test_daemon_away import command

pytestmark = [pytest.mark.live]


@pytest_asyncio.fixture
async def room(world: World) -> AsyncIterator[Room]:
    async with room_of(world) as found:
        yield found


async def journal(room: Room) -> list[Fact]:
    """Every fact so far."""
    store = Reader(room.world.switch.run.path / STORE_FILE)
    facts: list[Fact] = []
    after = 0
    while page := await store.entries_after(after):
        facts += [entry.fact for entry in page]
        after = page[-1].seq
    return facts


async def fact_of(room: Room, call: str, kind: str) -> Fact:
    """That fact of that call, once it is stored."""

    async def look() -> Fact | None:
        found = [f for f in await journal(room) if f.call == call and f.kind == kind]
        return found[-1] if found else None

    found: Fact = await room.world.leader.wait_for(look, 6, f"{kind} of {call}")
    return found


@pytest.mark.req("LY-05")
async def test_the_record_of_a_handed_over_call_is_whole_and_provable(room: Room) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    await call.act("transfer", to="12345")
    third = await fetched(hotline)
    await talk(call.citizen, third, within=8)
    await call.handoff("taken")
    await third.hangup()
    await call.citizen.wait_ended(8)
    case = (await call.desk.call(call.id))["case"]

    async def closed() -> bool:
        return "recording.closed" in json.dumps(await command(room.world, "case", "export", case))

    await call.desk.wait_for(closed, 20, "recording closed")
    told = json.dumps(await command(room.world, "case", "export", case), ensure_ascii=False)
    for kind in (
        "call.offered",
        "call.service",
        "handoff.requested",
        "handoff.accepted",
        "handoff.taken",
        "handoff.ended",
        "call.cleared",
        "recording.closed",
    ):
        assert f'"{kind}"' in told, kind
    assert "ended_by_peer" in told
    assert '"completed"' in told
    assert "sha256" in told
    verified = await command(room.world, "db", "verify")
    assert not verified.get("faults"), verified
    rebuilt = await command(room.world, "db", "rebuild", "--check")
    assert not rebuilt.get("differences"), rebuilt


@pytest.mark.req("SB-08")
async def test_each_act_tells_in_which_role_it_was_done(room: Room) -> None:
    phone = await room.people.seat("8003")
    desk = room.world.desk("8003")
    await desk.log_on(agent="agent-3", role="joint-action")
    seats = (await desk.must("GET", "seats"))["seats"]
    (mine,) = [seat for seat in seats if seat["id"] == phone.user]
    assert (mine["role"], mine["agent"]) == ("joint-action", "agent-3")
    citizen_phone, citizen = await room.people.citizen()
    await talk(citizen, await fetched(phone, 12))
    call = await desk.wait_call(citizen_phone.user, "established")
    await desk.act(call["id"], "hold")
    done = await fact_of(room, call["id"], "call.service")
    assert (done.data["duty"], done.data["agent"]) == ("joint-action", "agent-3")


@pytest.mark.req("LU-07")
async def test_seats_are_data_and_their_hours_are_facts(room: Room) -> None:
    """Thirty seats are there without a word in the code; log-on and log-off are in the journal."""
    seats = (await room.world.leader.must("GET", "seats"))["seats"]
    assert len([seat for seat in seats if seat["id"] != "8099"]) == 30
    _, desk = await room.sit("8030")
    await desk.must("DELETE", "seats/8030/agent")
    assert (await desk.request("DELETE", "seats/8030/agent")).doc["code"] == "not-logged-on"
    hours = [fact.kind for fact in await journal(room) if fact.subject == "8030"]
    assert hours.index("agent.loggedOn") < hours.index("agent.ready")
    assert hours.index("agent.ready") < hours.index("agent.loggedOff")


@pytest.mark.req("SB-37")
async def test_the_seat_for_other_requests_is_called_by_its_group(room: Room) -> None:
    other, _ = await room.sit(NON_POLICE, tone=SECOND_SEAT)
    await room.world.desk(NON_POLICE).must(
        "PATCH", f"seats/{NON_POLICE}/agent", {"state": "notReady", "reason": "elsewhere"}
    )
    call = await room.talking()
    refused = await call.desk.request(
        "POST", f"calls/{call.id}/three-way", {"to": "group:nonpolice"}
    )
    assert refused.doc["code"] == "no-such-target", "nobody of the group is ready"
    await room.world.desk(NON_POLICE).must("PATCH", f"seats/{NON_POLICE}/agent", {"state": "ready"})
    await call.act("transfer", to="group:nonpolice")
    third = await fetched(other)
    await talk(call.citizen, third)


@pytest.mark.req("YJ-38")
async def test_a_call_that_no_seat_could_take_is_measured(room: Room) -> None:
    phone, citizen = await room.people.citizen()
    await citizen.wait_answered(3)
    found = await room.world.leader.wait_call(phone.user, "queued")
    await room.world.leader.wait_for(lambda: _busy(room), 3, "all busy")
    await citizen.hangup()
    cleared = await fact_of(room, found["id"], "call.cleared")
    assert cleared.data["answered"] is False
    assert cleared.data["outcome"] == "citizen_left"
    await room.sit("8005")

    async def over() -> Fact | None:
        last = [f for f in await journal(room) if f.kind.startswith("room.")]
        return last[-1] if last and last[-1].kind == "room.seatReady" else None

    ready = await room.world.leader.wait_for(over, 4, "a seat is ready again")
    assert float(str(ready.data["all_busy_s"])) > 0


async def _busy(room: Room) -> bool:
    kinds = [f.kind for f in await journal(room) if f.kind.startswith("room.")]
    return bool(kinds) and kinds[-1] == "room.allBusy"


@pytest.mark.parametrize("ending", ["citizen", "seat", "peer", "met", "desk"])
async def test_every_ending_has_its_outcome_in_the_journal(room: Room, ending: str) -> None:
    hotline = await room.people.hotline()
    call = await room.talking()
    if ending == "peer":
        await call.act("transfer", to="12345")
        third = await fetched(hotline)
        await talk(call.citizen, third, within=8)
        await call.handoff("taken")
        await third.hangup()
    elif ending == "met":  # the seat left in a consultation: 12345 has met the citizen by Bridge()
        await call.act("consult", to="12345")
        third = await fetched(hotline)
        await talk(call.at_seat, third)
        await call.state("consulting")
        await call.leave()
        await talk(call.citizen, third)
        await third.hangup()
    elif ending == "seat":
        await call.at_seat.hangup()
    elif ending == "desk":
        await call.desk.must("DELETE", f"calls/{call.id}?confirm=true")
    else:
        await call.citizen.hangup()
    cleared = await fact_of(room, call.id, "call.cleared")
    names = {
        "citizen": "citizen_left",
        "seat": "ended_by_seat",
        "peer": "ended_by_peer",
        "met": "ended_by_peer",
        "desk": "ended_by_desk",
    }
    assert cleared.data["outcome"] == names[ending]
    assert cleared.data["answered"] is True
