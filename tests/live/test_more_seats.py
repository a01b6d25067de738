"""A seat more, in the middle of a call: neither daemon nor Asterisk is restarted (LU-07)."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge.lab.desk_client import DeskClient
from bridge.lab.ports import HOST
from bridge.lab.settings_file import STORE_FILE, TOKENS_FILE
from bridge.lab.site import site_files
from bridge.lab.tones import SECOND_SEAT
from bridge.lab.world import World
from bridge.store import Reader
from bridge.tokens import TokenRecord, add_token, digest, new_token
from tests.live.conftest import NewWorld
from tests.live.people import fetched, talk
from tests.live.room import room_of

pytestmark = [pytest.mark.live]

NEW = "8031"


async def telephone_account(world: World) -> None:
    """The account of the new seat's telephone, taken by the running Asterisk."""
    switch = world.switch
    grown = replace(switch.site, seats=(*switch.site.seats, NEW))
    file = switch.run.etc / "site" / "pjsip_seats.conf"
    file.write_text(site_files(grown)[file.name], encoding="utf-8")
    await switch.console("module reload res_pjsip.so")
    await switch.console("module reload res_pjsip_outbound_registration.so")


def settings_with(world: World, ids: str) -> None:
    """Another list of seats in the file, and the daemon told to look."""
    config = world.daemon.config
    lines = config.read_text(encoding="utf-8").splitlines()
    (at,) = [n for n, line in enumerate(lines) if line.startswith("ids = ")]
    lines[at] = f"ids = {ids}"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert world.daemon.process is not None
    world.daemon.process.send_signal(signal.SIGHUP)


@pytest.mark.req("LU-07")
async def test_a_seat_is_added_and_taken_out_while_a_call_goes_on(new_world: NewWorld) -> None:
    world = await new_world()
    pids = (world.daemon.pid, world.switch.pid)
    async with room_of(world) as room:
        before = await room.talking()
        await telephone_account(world)
        token = new_token()
        record = TokenRecord(name=f"lab-{NEW}", role="T", seat=NEW, sha256=digest(token))
        add_token(world.switch.run.path / TOKENS_FILE, record)
        desk = DeskClient(HOST, world.ports.http, token, NEW)
        settings_with(world, '["8001-8031"]')

        async def there() -> bool:
            seats = (await world.leader.must("GET", "seats"))["seats"]
            return any(seat["id"] == NEW for seat in seats)

        await world.leader.wait_for(there, 10, "the desk knows the new seat")
        phone = await room.people.seat(NEW, tone=SECOND_SEAT)

        async def signed_in() -> bool:
            return bool((await desk.request("GET", "snapshot")).ok)

        await desk.wait_for(signed_in, 15, "the new token is known")
        await desk.log_on(agent="agent-31")
        citizen_phone, citizen = await room.people.citizen()
        at_new = await fetched(phone, 12)
        await talk(citizen, at_new)
        call = await desk.wait_call(citizen_phone.user, "established")
        assert {leg["name"] for leg in call["legs"]} == {"citizen", f"seat-{NEW}"}
        # a file that cannot be used changes nothing
        settings_with(world, '["80 01"]')

        async def alarmed() -> bool:
            alarms = (await world.leader.must("GET", "snapshot"))["alarms"]
            return any(one["alarm"] == "settings" for one in alarms)

        await world.leader.wait_for(alarmed, 10, "a file with a fault is an alarm")
        assert await there()
        # taken out while somebody sits there: it stays until they have gone
        settings_with(world, '["8001-8030"]')
        await world.leader.wait_for(lambda: _not(alarmed), 10, "the alarm is over")
        assert await there()
        await talk(before.citizen, before.at_seat)
        await talk(citizen, at_new)
        await citizen.hangup()
    assert (world.daemon.pid, world.switch.pid) == pids
    assert world.daemon.running
    store = Reader(world.switch.run.path / STORE_FILE)
    facts = [entry.fact for entry in await store.entries_after(0)]
    changes: list[Mapping[str, Any]] = [fact.data for fact in facts if fact.kind == "room.seats"]
    assert [one["added"] for one in changes] == [[NEW]]


async def _not(asked: Any) -> bool:
    return not await asked()
