"""Orders spoken into a radio channel on a real Asterisk: by ear, by key and by the code pressed.

The gateway is that of test_radio_voice: a lab telephone for its sound, a network line box for its
key. Whoever answers presses the keys of a radio set, which Asterisk reads on the sound line.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from bridge.lab.incoming import IncomingCall
from bridge.lab.phone import Behaviour, Phone
from bridge.lab.switch import Switch
from hardware.radio.selcall import DTMF
from tests.live.conftest import NewSwitch
from tests.live.ordering import Ordering, duty, ordering
from tests.live.radio_kit import GROUP, Gateway, gateway_of, radio_settings

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(240),
    pytest.mark.req("SB-11"),
    pytest.mark.req("LL-09"),
]

UNITS = f"""
[units.water]
name = "市供水集团"
tier = 1
duty_phone = ["PJSIP/6001"]
radio = {{ voice = ["{GROUP}:ZVEI1:12345"] }}
[units.water.ladder]
GENERAL = [
    {{ channels = ["radio"], over_s = 90 }},
    {{ channels = ["phone"], over_s = 10 }},
]
"""
LEAD_IN_S = 0.15
"""As in the gateway's settings: so long after the key the words may begin."""
OVER_S = 60.0
"""Longest an over of these words takes, tones and waits among it."""


@dataclass
class OnAir:
    """A case, a unit that is spoken to, its duty phone, and the radio."""

    room: Ordering
    gateway: Gateway
    phone: Phone

    async def answered(self) -> IncomingCall:
        """The call to the gateway's sound line, up."""
        call = await self.gateway.line.wait_call(10.0)
        await call.wait_answered(5.0)
        return call

    async def over(self) -> tuple[float, float]:
        """One whole over: when the key went down and up again."""
        down = await self.gateway.wait_key(True, 15.0)
        return down, await self.gateway.wait_key(False, OVER_S)

    async def code(self, order: str) -> str:
        return str((await self.room.order(order))["code"])

    async def tries(self, order: str) -> list[tuple[str, str, bool]]:
        """Each attempt: its wire, its state, whether it is marked as a possible repeat."""
        found = (await self.room.order(order))["attempts"]
        return [(one["channel"], one["state"], one["repeat"]) for one in found]


async def key_in(call: IncomingCall, keys: str) -> None:
    """Keys of a radio set come as sound, which the gateway's line carries; to the next 10 Hz, which
    is well within what a receiver must take (ITU-T Q.24: 1.8 %)."""
    for key in keys:
        low, high = (round(hertz, -1) for hertz in DTMF[key])
        call.leg.play(low, high)
        await asyncio.sleep(0.12)
        call.leg.play(0)
        await asyncio.sleep(0.12)


@contextlib.asynccontextmanager
async def on_air(new_switch: NewSwitch) -> AsyncIterator[OnAir]:
    switch = await new_switch()

    async def this() -> Switch:
        return switch

    async with ordering(this, UNITS, radio_settings(switch.run.path)) as room:
        line = await room.people.phone("radio1", 0)
        async with gateway_of(room.world, line, time_out_s=60) as gateway:
            phone = await duty(room.people, "6001", Behaviour("ring"))
            await room.world.daemon.stop()
            await room.world.daemon.start()  # finds the port process there
            try:
                yield OnAir(room, gateway, phone)
            except BaseException:
                print(room.world.daemon.log.read_text()[-4000:])
                print((switch.run.path / "ports.log").read_text()[-2000:])
                raise


async def test_spoken_while_the_key_is_down_and_signed_by_its_code(new_switch: NewSwitch) -> None:
    """Signed between the overs: it is not spoken again, and nobody is rung."""
    async with on_air(new_switch) as air:
        order = await air.room.give(words="到场")
        call = await air.answered()
        keyed, released = await air.over()
        since_loop = time.monotonic() - asyncio.get_running_loop().time()
        down, up = keyed + since_loop, released + since_loop
        assert up - down > 3.0
        words = call.longest_silence(down + LEAD_IN_S, up - 0.2)
        assert words < 1.5, f"{words:.2f} s without a word while the key is down"
        sound_before = call.heard(down - 2.0, down + LEAD_IN_S - 0.04)
        assert sound_before == set(), "nothing is spoken before the lead-in is over"
        await air.room.attempt(order, "radio", "sent")
        moves = len(air.gateway.moves())
        await key_in(call, await air.code(order))
        signed = await air.room.until(order, "acknowledged", within=10)
        assert (signed["acknowledged"]["channel"], signed["acknowledged"]["unit"]) == (
            "radio",
            "water",
        )
        await call.wait_ended(5.0)
        await asyncio.sleep(3.0)
        assert len(air.gateway.moves()) == moves, "a signed order is not spoken again"
        assert not air.gateway.keyed
        assert await air.tries(order) == [("radio", "acknowledged", False)]
        assert air.phone.calls == []

        async def closed() -> list[dict[str, str]] | None:
            found = (await air.room.order(order))["recordings"]
            return found[0]["tracks"] if found else None

        (track,) = await air.room.desk.wait_for(closed, 30, "the recording is closed")
        place = air.room.world.switch.run.recordings / track["file"]
        assert track["leg"] == "radio"
        assert track["sha256"] == hashlib.sha256(place.read_bytes()).hexdigest()


async def test_a_wrong_code_signs_nothing_and_is_told(new_switch: NewSwitch) -> None:
    async with on_air(new_switch) as air:
        order = await air.room.give(words="到场")
        call = await air.answered()
        await air.over()
        code = await air.code(order)
        await key_in(call, f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}")
        await air.over()
        assert (await air.room.order(order))["state"] != "acknowledged"
        assert await air.tries(order) == [("radio", "sent", False)]
        await asyncio.sleep(0.5)
        await key_in(call, code)
        await air.room.until(order, "acknowledged", within=10)
        alarms = (await air.room.desk.snapshot())["alarms"]
        (told,) = [one for one in alarms if one["alarm"].startswith("inbox.dtmf:")]
        assert "人工" in told["words"], "a person looks at what came"


async def test_killed_while_it_speaks_the_order_goes_on_with_the_mark(
    new_switch: NewSwitch,
) -> None:
    async with on_air(new_switch) as air:
        order = await air.room.give(words="到场")
        call = await air.answered()
        await air.gateway.wait_key(True, 15.0)
        await asyncio.sleep(1.0)
        killed = asyncio.get_running_loop().time()
        air.room.world.daemon.kill()
        assert await air.gateway.wait_key(False, 3.0) - killed <= 1.0, "nobody holds the key"
        await air.room.world.daemon.start()
        await call.wait_ended(20.0)
        again = await air.gateway.line.wait_call(60.0)
        await again.wait_answered(5.0)
        await air.over()
        assert await air.tries(order) == [("radio", "unknown", False), ("radio", "sent", True)]
        await key_in(again, await air.code(order))
        await air.room.until(order, "acknowledged", within=10)
        assert air.phone.calls == []
