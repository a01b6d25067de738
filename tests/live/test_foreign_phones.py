"""The way of a call with telephones that nobody here wrote: SIPp and baresip, and no daemon.

What they heard is read from the sound that baresip itself wrote. Citizen 620 Hz, seat 700 Hz,
12345 1000 Hz.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from bridge.lab.baresip import Baresip, start_baresip
from bridge.lab.child import free_port
from bridge.lab.desk_client import leg_of
from bridge.lab.ports import HOST
from bridge.lab.sipp import CITIZEN, DUTY_PHONE, register, start_sipp
from bridge.lab.switch import Switch
from bridge.lab.tones import CITIZEN as CITIZEN_TONE
from bridge.lab.tones import HOTLINE, KNOWN, SEAT
from bridge.lab.wavear import longest, tones_in
from bridge.lab.world import World

NUMBER = "13800138000"


@pytest_asyncio.fixture
async def seat(switch: Switch) -> AsyncIterator[Baresip]:
    """baresip as seat 8001, the queue's only member; its person answers by the test's hand."""
    server = (HOST, switch.site.ports.sip)
    async with start_baresip(
        switch.root, server, "8001", switch.site.sip_secret, tone=SEAT
    ) as phone:
        await phone.wait_registered(5)
        await switch.console("queue add member PJSIP/8001 to q110")
        try:
            yield phone
        finally:
            await switch.console("queue remove member PJSIP/8001 from q110")


def heard_by(phone: Baresip) -> list[set[int]]:
    """What it heard in its last call, every 100 ms."""
    return tones_in(phone.heard_files()[-1], KNOWN)


async def until_heard(phone: Baresip, tones: set[int], timeout: float) -> None:
    """Until the call has brought half a second of exactly these tones."""
    async with asyncio.timeout(timeout):
        while longest(heard_by(phone), tones) < 0.5:
            await asyncio.sleep(0.2)  # a file of another program: it can only be asked


async def test_sipp_dials_110_and_talks_with_a_baresip_seat(switch: Switch, seat: Baresip) -> None:
    server = (HOST, switch.site.ports.sip)
    values: dict[str, str | int] = {"caller": NUMBER, "talk_ms": 2500}
    async with start_sipp(
        switch.root, CITIZEN, server, values=values, tone=CITIZEN_TONE
    ) as citizen:
        ringing = await seat.wait_event("CALL_INCOMING", 5)
        await seat.accept()
        await seat.wait_event("CALL_ESTABLISHED", 3)
        report = await citizen.wait_ended(10)
        await seat.wait_event("CALL_CLOSED", 3)
    assert (report.created, report.successful) == (1, 1), report.errors
    assert f"sip:{NUMBER}@" in ringing["peeruri"]
    assert longest(heard_by(seat), {CITIZEN_TONE}) >= 1.0


async def test_the_seat_hangs_up_first_and_the_citizen_is_told(
    switch: Switch, seat: Baresip
) -> None:
    server = (HOST, switch.site.ports.sip)
    async with start_sipp(
        switch.root, CITIZEN, server, values={"talk_ms": 20000}, tone=CITIZEN_TONE
    ) as citizen:
        await seat.wait_event("CALL_INCOMING", 5)
        await seat.accept()
        await seat.wait_event("CALL_ESTABLISHED", 3)
        await seat.hang_up()
        report = await citizen.wait_ended(10)
    assert report.successful == 1, report.errors
    assert "timeout" not in report.errors


async def test_three_foreign_phones_make_the_three_way_by_key(
    switch: Switch, seat: Baresip
) -> None:
    """The seat presses *1, SIPp's 12345 presses 1 by INFO; the seat leaves; the two talk on."""
    server = (HOST, switch.site.ports.sip)
    port = free_port()
    await register(switch.root, server, "hotline", switch.site.sip_secret, port)
    values: dict[str, str | int] = {"press_ms": 800, "talk_ms": 3500}
    try:
        async with (
            start_sipp(
                switch.root, DUTY_PHONE, server, values=values, tone=HOTLINE, port=port
            ) as hotline,
            start_baresip(
                switch.root, server, NUMBER, "x", tone=CITIZEN_TONE, registers=False
            ) as citizen,
        ):
            await citizen.dial(f"sip:110@{HOST}:{server[1]}")
            await seat.wait_event("CALL_INCOMING", 5)
            await seat.accept()
            await seat.wait_event("CALL_ESTABLISHED", 3)
            await seat.press("*1")
            assert f"sip:{NUMBER}@" in await hotline.wait_logged("sip:", 5)
            await until_heard(seat, {CITIZEN_TONE, HOTLINE}, 10)
            await seat.hang_up()
            report = await hotline.wait_ended(15)
            assert report.successful == 1, report.errors
            await citizen.wait_event("CALL_CLOSED", 10)
            by_citizen, by_seat = heard_by(citizen), heard_by(seat)
    finally:
        await register(switch.root, server, "hotline", switch.site.sip_secret, port, 0)
    assert longest(by_seat, {CITIZEN_TONE, HOTLINE}) >= 0.5
    assert longest(by_citizen, {SEAT, HOTLINE}) >= 0.5
    assert longest(by_citizen, {HOTLINE}) >= 1.0


async def test_the_whole_way_by_rest_with_phones_that_nobody_here_wrote(world: World) -> None:
    """baresip is citizen and seat, SIPp is 12345; a REST client alone drives the call."""
    switch, desk = world.switch, world.desk("8001")
    server = (HOST, switch.site.ports.sip)
    port = free_port()
    await register(switch.root, server, "hotline", switch.site.sip_secret, port)
    values: dict[str, str | int] = {"press_ms": 500, "talk_ms": 20000}
    secret = switch.site.sip_secret
    async with (
        start_sipp(
            switch.root, DUTY_PHONE, server, values=values, tone=HOTLINE, port=port
        ) as hotline,
        start_baresip(switch.root, server, "8001", secret, tone=SEAT) as seat,
        start_baresip(
            switch.root, server, NUMBER, "x", tone=CITIZEN_TONE, registers=False
        ) as citizen,
    ):
        await seat.wait_registered(5)
        await desk.log_on(agent="agent-8001")
        await citizen.dial(f"sip:110@{HOST}:{server[1]}")
        await seat.wait_event("CALL_INCOMING", 10)
        await seat.accept()
        call = str((await desk.wait_call(NUMBER, "established", 10))["id"])
        await desk.must("POST", f"calls/{call}/three-way?wait=10", {"to": "12345"})
        await until_heard(citizen, {SEAT, HOTLINE}, 10)
        own = leg_of(await desk.call(call), "seat-8001")["id"]
        await desk.must("DELETE", f"legs/{own}?wait=5")
        await until_heard(citizen, {HOTLINE}, 10)
        (handoff,) = (await desk.call(call))["handoffs"]
        assert handoff["state"] == "taken"
        await desk.must("DELETE", f"calls/{call}?confirm=true&wait=5")
        report = await hotline.wait_ended(10)
        assert report.successful == 1, report.errors
        await citizen.wait_event("CALL_CLOSED", 5)
        assert longest(heard_by(seat), {CITIZEN_TONE, HOTLINE}) >= 0.3
    await register(switch.root, server, "hotline", secret, port, 0)
    for _ in range(40):
        if (await desk.request("DELETE", "seats/8001/agent")).ok:
            break
        await asyncio.sleep(0.1)
