"""The dialplan of `dialplans/*.conf` on the simulated switch, context by context.

Each method is the context of the same name; what only matters to ears (tones, words, tracks) is
left out. Where a plan waits, people and faults go on.
"""

from __future__ import annotations

import asyncio

from tests.simulation.chance import Chance
from tests.simulation.switch import Chan, Ended, SimSwitch

HOLD_LIMIT = 300.0
RING_LIMIT = 20
HOTLINE = "PJSIP/12345@hotline"


class Plan:
    """`run` is the plan of a `SimSwitch`."""

    def __init__(self, switch: SimSwitch, chance: Chance) -> None:
        self.switch = switch
        self.chance = chance
        self._keys = 0

    async def run(self, chan: Chan, context: str, exten: str) -> None:
        """The channel at this place, until it is hung up."""
        await getattr(self, "_" + context.replace("-", "_"))(chan, exten)

    def _here(self, chan: Chan, context: str) -> None:
        chan.context = context

    def _citizen(self, chan: Chan) -> Chan:
        """The citizen of this leg. The plan of a leg ends with its citizen."""
        found = self.switch.channels.get(chan.variables["CITIZEN"])
        if found is None:
            raise Ended
        return found

    # citizen.conf

    async def _police110(self, chan: Chan, _: str) -> None:
        switch = self.switch
        self._here(chan, "police110")
        chan.variables |= {"CASE": chan.unique, "CITIZEN": chan.name, "LEG": "citizen"}
        entry, number = chan.variables["ENTRY"], chan.variables["NUMBER"]
        back = chan.variables.get("CASE_BACK", "")
        switch.log_user("CASE", chan, entry, number, back)
        switch.user_event("CitizenArrived", chan, Entry=entry, Number=number, Back=back)
        if switch.now() - float(switch.globals.get("HEARTBEAT", "0")) <= 4:
            for _turn in range(20):
                if chan.shared.get("ROUTED"):
                    break
                await asyncio.sleep(0.02)
        switch.set_state(chan, "Up")
        if await self._ring_seat(chan, chan.shared.get("SEAT_FIRST", "")):
            await self._citizen_after(chan, "")
        await self._citizen_queue(chan, "")

    async def _citizen_queue(self, chan: Chan, _: str) -> None:
        while True:
            self._here(chan, "citizen-queue")
            if await self._queue(chan, 60.0):
                await self._citizen_after(chan, "")
            self.switch.user_event("CitizenStillWaits", chan)
            self.switch.log_user("CALLBACK", chan, chan.variables["NUMBER"])
            await asyncio.sleep(2.0)

    async def _queue(self, chan: Chan, timeout: float) -> bool:
        """Wait for a seat; True when one has been and gone."""
        until = self.switch.loop.time() + timeout
        while (left := until - self.switch.loop.time()) > 0:
            member = self.switch.free_member()
            if member is None:
                await asyncio.sleep(min(0.5, left))
                continue
            member.rung_at = self.switch.loop.time()
            if await self._ring(chan, member.seat, 15.0):
                return True
        return False

    async def _ring_seat(self, chan: Chan, seat: str) -> bool:
        if not seat or self.switch.in_use(seat):
            return False
        return await self._ring(chan, seat, 10.0)

    async def _ring(self, chan: Chan, seat: str, timeout: float) -> bool:
        """Ring a seat; when it answers, they talk. True when it has been and gone."""
        switch = self.switch
        variables = {"CASE": chan.case, "CITIZEN": chan.name}
        made = switch.new("seat", seat, "", **variables)
        made.linked = chan.linked
        switch.set_state(made, "Ringing")
        switch.rings(made)
        try:
            await asyncio.wait([made.answered], timeout=timeout)
        except asyncio.CancelledError:
            switch.hang_up(made, 26, "queue")
            raise
        if made.gone or not made.answered.done():
            switch.hang_up(made, 0, "queue")
            return False
        self._seat_joined(made, chan)
        bridge = switch.new_bridge()
        switch.enter(chan, bridge, "plan")
        switch.enter(made, bridge, "hangup")
        out = chan.out
        assert out is not None
        await out
        return True

    def _seat_joined(self, seat: Chan, citizen: Chan) -> None:
        seat.variables["LEG"] = f"seat-{seat.number}"
        citizen.shared["LAST_SEAT"] = seat.number
        self.switch.log_user("LEG", seat, f"seat-{seat.number}", "")

    def _joining(self, citizen: Chan) -> bool:
        return float(citizen.shared.get("JOINING") or 0) > int(self.switch.now())

    async def _citizen_after(self, chan: Chan, _: str) -> None:
        self._here(chan, "citizen-after")
        await asyncio.sleep(self.chance.delay(1e-5, 1e-3))
        if chan.shared.get("HELD") == "1":
            await self._citizen_held(chan, "")
        if self._joining(chan):
            await self._citizen_waits(chan, "")
        if chan.variables.get("HANGUPCAUSE") == "16":
            await self._goodbye(chan, "")
        await self._citizen_alone(chan, "")

    async def _citizen_met(self, chan: Chan, _: str) -> None:
        await self._citizen_after(chan, "")

    async def _citizen_alone(self, chan: Chan, _: str) -> None:
        self._here(chan, "citizen-alone")
        cause = chan.variables.get("HANGUPCAUSE", "")
        self.switch.user_event("CitizenAlone", chan, Cause=cause)
        self.switch.log_user("ALONE", chan, cause)
        if await self._ring_seat(chan, chan.shared.get("LAST_SEAT", "")):
            await self._citizen_after(chan, "")
        await self._citizen_queue(chan, "")

    async def _citizen_held(self, chan: Chan, _: str) -> None:
        self._here(chan, "citizen-held")
        chan.shared["HELD"] = ""
        self.switch.user_event("CitizenHeld", chan)
        holder = self.switch.channels.get(chan.shared.get("HOLDER", ""))
        if holder is not None:
            await asyncio.wait([holder.ended], timeout=HOLD_LIMIT)
        if holder is not None and not holder.gone and holder.bridge is not None:
            self.switch.enter(chan, holder.bridge, "met")
            await asyncio.Event().wait()
        await asyncio.sleep(1.2)
        chan.variables["HANGUPCAUSE"] = ""
        await self._citizen_after(chan, "")

    async def _citizen_waits(self, chan: Chan, _: str) -> None:
        self._here(chan, "citizen-waits")
        self.switch.user_event("CitizenWaits", chan)
        while self._joining(chan):
            await asyncio.sleep(0.5)
        await asyncio.sleep(0.5)
        await self._citizen_alone(chan, "")

    async def _goodbye(self, chan: Chan, _: str) -> None:
        self._here(chan, "goodbye")
        cause = chan.variables.get("HANGUPCAUSE", "")
        self.switch.user_event("CallEnded", chan, Cause=cause)
        self.switch.log_user("GOODBYE", chan, cause)
        await asyncio.sleep(2.0)
        raise Ended

    # seat.conf

    async def _seat_returns(self, chan: Chan, _: str) -> None:
        self._citizen(chan).shared["LAST_SEAT"] = chan.number
        await self._leg_answers(chan, "")

    async def _seat_waits(self, chan: Chan, _: str) -> None:
        self._here(chan, "seat-waits")
        self.switch.user_event("SeatWaits", chan, Leg=chan.variables.get("LEG", ""))
        await asyncio.sleep(30.0)
        await self._join_case(chan, "")

    async def three_way(self, chan: Chan) -> None:
        """The seat's *1, beside its conversation."""
        switch, citizen = self.switch, self.switch.channels.get(chan.variables["CITIZEN"])
        if citizen is None:
            return
        citizen.shared["KEYED"] = str(int(switch.now()))
        await asyncio.sleep(self.chance.delay(1e-5, 1e-3))
        if self._joining(citizen):
            citizen.shared["KEYED"] = ""
            return
        citizen.shared["JOINING"] = str(int(switch.now()) + RING_LIMIT + 2)
        await asyncio.sleep(self.chance.delay(1e-6, 3e-4))
        citizen.shared["JOINED_BY"] = "key"
        await asyncio.sleep(self.chance.delay(1e-6, 3e-4))
        self._keys += 1
        handoff = f"key-{int(switch.now())}-{self._keys}"
        switch.user_event("SeatKey", chan, Leg=chan.variables["LEG"], Handoff=handoff)
        switch.log_user("KEY", chan, chan.variables["LEG"], handoff)
        citizen.shared["KEYED"] = ""
        variables = {
            "CASE": chan.case,
            "CITIZEN": citizen.name,
            "LEG": "hotline",
            "HANDOFF": handoff,
        }
        unique = f"{int(switch.now())}.9{self._keys:05d}"
        switch.originate(HOTLINE, unique, "leg-accepts", "s", RING_LIMIT, variables, "key")

    # third.conf

    async def _leg_accepts(self, chan: Chan, _: str) -> None:
        for _turn in range(3):
            self._here(chan, "leg-accepts")
            self._citizen(chan).shared["JOINING"] = str(int(self.switch.now()) + 12)
            if await self._press(chan):
                await self._leg_answers(chan, "")
        self.switch.log_user("REFUSED", chan, chan.variables["LEG"], chan.variables["HANDOFF"])
        self._citizen(chan).shared["JOINING"] = "0"
        raise Ended

    async def _press(self, chan: Chan) -> bool:
        after = float(chan.variables.get("PRESSES", "1"))
        await asyncio.sleep(min(after, 3.0))
        chan.variables["PRESSES"] = str(max(0.0, after - 3.0))
        return after <= 3.0

    async def _leg_answers(self, chan: Chan, _: str) -> None:
        self._accepted(chan)
        if chan.variables.get("HANDOFF"):
            self._citizen(chan).shared["JOINING"] = "0"
        await self._join_case(chan, "")

    def _accepted(self, chan: Chan) -> None:
        leg, handoff = chan.variables["LEG"], chan.variables.get("HANDOFF", "")
        self.switch.log_user("LEG", chan, leg, handoff)
        self.switch.user_event("LegAccepted", chan, Leg=leg, Handoff=handoff)

    async def _join_case(self, chan: Chan, _: str) -> None:
        switch = self.switch
        self._here(chan, "join-case")
        for turn in range(0 if chan.variables.get("PATIENT") == "1" else 8, 31):
            await asyncio.sleep(self.chance.delay(1e-5, 2e-3))
            citizen = self._citizen(chan)
            if citizen.bridge is not None:
                switch.enter(chan, citizen.bridge, "plan")
                await self._out(chan)
                break
            if turn >= 8 and citizen.state == "Up":
                self._meet(chan, citizen)
                await self._out(chan)
                break
            await asyncio.sleep(0.05)
        if chan.shared.get("HELD") == "1":
            await self._party_held(chan, "")
        raise Ended

    def _meet(self, chan: Chan, other: Chan) -> None:
        """`Bridge(other)`: it is taken out of whatever it does."""
        if other.task is not None:
            other.task.cancel()
            other.task = None
        bridge = self.switch.new_bridge()
        self.switch.enter(other, bridge, "met")
        self.switch.enter(chan, bridge, "plan")

    async def _out(self, chan: Chan) -> None:
        out = chan.out
        if out is not None:
            await out

    async def _consult_accepts(self, chan: Chan, _: str) -> None:
        for _turn in range(3):
            self._here(chan, "consult-accepts")
            if await self._press(chan):
                await self._consult(chan, "s")
        raise Ended

    async def _consult(self, chan: Chan, exten: str) -> None:
        self._here(chan, "consult")
        if exten != "talk":
            self._accepted(chan)
        seat = self.switch.channels.get(chan.variables.get("SEAT", ""))
        if seat is not None and seat.state == "Up":
            self._private(chan, seat)
            await self._out(chan)
        if chan.shared.get("HELD") == "1":
            await self._party_held(chan, "")
        chan.variables["PATIENT"] = "1"
        await self._join_case(chan, "")

    def _private(self, chan: Chan, seat: Chan) -> None:
        """`Bridge(seat,F(join-case))`."""
        if seat.task is not None:
            seat.task.cancel()
            seat.task = None
        bridge = self.switch.new_bridge()
        self.switch.enter(seat, bridge, "plan")
        self.switch.enter(chan, bridge, "plan")
        self.switch.run(seat, "after-private")

    async def _after_private(self, chan: Chan, _: str) -> None:
        await self._out(chan)
        await self._join_case(chan, "")

    async def _party_held(self, chan: Chan, _: str) -> None:
        self._here(chan, "party-held")
        chan.shared["HELD"] = ""
        self.switch.user_event("PartyHeld", chan, Leg=chan.variables.get("LEG", ""))
        await asyncio.sleep(60.0)
        await self._join_case(chan, "")

    # leader.conf

    async def _leader_spies(self, chan: Chan, _: str) -> None:
        self._here(chan, "leader-spies")
        self.switch.log_user("LEG", chan, chan.variables["LEG"], "")
        spied = self.switch.channels.get(chan.variables["SPY"])
        if spied is not None:
            await asyncio.wait([spied.ended])
        raise Ended
