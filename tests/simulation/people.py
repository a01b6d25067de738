"""Citizens, call-takers and those who are called: what they do is drawn from the seed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.desk.commands import AgentAsk, Ask, Reply
from bridge.desk.problems import Problem
from bridge.desk.tokens import Grant
from bridge.domain.agent import AE
from bridge.domain.conversation import E
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact
from bridge.flows.ports import Message, StoreError, Transaction
from tests.simulation.daemon import LEADER, PLATFORM, Daemon
from tests.simulation.loop import in_life
from tests.simulation.switch import Chan

if TYPE_CHECKING:
    from tests.simulation.world import World

PATIENCE = 6.0
"""Seconds that a console waits for its answer before it asks again with the same key."""

SERVICES = (
    E.THREE_WAY, E.THREE_WAY, E.THREE_WAY, E.TRANSFER, E.TRANSFER, E.CONSULT, E.CONSULT, E.HOLD,
    E.RETRIEVE, E.RECONNECT, E.ALTERNATE, E.CONFERENCE, E.LEAVE, E.CANCEL, E.JOIN, E.INTRUDE,
    E.CLEAR_PARTY, E.MUTE, E.CLEAR_CALL,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What a person was answered to one key."""

    key: str
    service: str
    call: str
    code: str


class People:
    """Everybody outside. `calm` ends what they would still do."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calm = False
        self.haste = world.shape.haste
        self.asking = 0
        """Requests whose end is not known to who asked."""
        self.told: list[Told] = []
        self.clearing: set[str] = set()
        """Calls whose end somebody has asked for."""
        self._keys = 0

    # Telephones

    def rings(self, chan: Chan) -> None:
        """A telephone rings: the person there will do something, or nothing."""
        draw = self.world.chance.random
        if chan.kind == "third":
            fate = draw.choices(
                ("accept", "slow", "machine", "busy", "rejects", "silent", "nowhere"),
                (12, 4, 2, 1, 1, 2, 2),
            )[0]
        else:
            fate = draw.choices(("accept", "slow", "silent", "rejects"), (14, 3, 2, 1))[0]
        delay = self.world.chance.delay(0.2, 6.0 if fate == "slow" else 2.5)
        if fate in ("accept", "slow", "machine"):
            chan.variables["PRESSES"] = "99" if fate == "machine" else f"{draw.random() * 4:.2f}"
            self._later(delay, lambda: self._answers(chan))
        elif fate != "silent":
            cause = {"busy": 17, "rejects": 21, "nowhere": 20}[fate]
            delay = 0.002 if fate == "nowhere" else delay
            self._later(delay, lambda: self.world.switch.hang_up(chan, cause, "callee"))

    def _answers(self, chan: Chan) -> None:
        self.world.switch.answer(chan)
        draw = self.world.chance.random
        if draw.random() < 0.5:
            cause = 44 if draw.random() < 0.15 else 16
            stays = self.world.chance.delay(0.5, 40.0 / self.haste)
            self._later(stays, lambda: self._hangs_up(chan, cause))
        if chan.kind == "seat" and draw.random() < 0.25:
            self._later(draw.random() * 10 / self.haste, lambda: self._presses_key(chan))

    def _hangs_up(self, chan: Chan, cause: int) -> None:
        if not self.calm:
            self.world.switch.hang_up(chan, cause, chan.kind)

    def _presses_key(self, chan: Chan) -> None:
        if not chan.gone and chan.bridge is not None and not self.calm:
            self.world.start(self.world.plan.three_way(chan))

    def _key_too(self, seat: str | None, call: str) -> None:
        """The handset's key, at the same moment as the desk."""
        for chan in self.world.switch.channels.values():
            if chan.kind == "seat" and chan.number == seat and chan.case == call:
                self._presses_key(chan)

    def _later(self, delay: float, act: Callable[[], None]) -> None:
        self.world.loop.call_later(delay, act, context=in_life(0))

    # Citizens

    async def citizen(self) -> None:
        """Dials 110, and some time hangs up."""
        world, draw = self.world, self.world.chance.random
        await asyncio.sleep(draw.random() * 20 / self.haste)
        number = f"138{draw.randrange(10**8):08d}"
        variables = {"ENTRY": "110", "NUMBER": number}
        chan = world.switch.new("citizen", "trunk", "", **variables)
        world.arrived.append(chan.unique)
        world.trace(f"citizen {chan.unique}")
        world.switch.run(chan, "police110")
        if draw.random() < 0.6:
            await asyncio.sleep(1.0 + draw.random() * 40 / self.haste)
            world.switch.hang_up(chan, 16, "citizen")

    # Seats at the desk

    async def seat(self, seat: str) -> None:
        """Logs on, is ready, and uses the services of the desk."""
        draw = self.world.chance.random
        await asyncio.sleep(draw.random() * 2 / self.haste)
        grant = Grant(f"T-{seat}", "T", seat)
        await self._agent(grant, AE.LOG_ON)
        await self._agent(grant, AE.SET_READY)
        while not self.calm:
            await asyncio.sleep(self.world.chance.delay(0.05, 6.0 / self.haste))
            ask = self._something(seat)
            if ask is not None:
                await self._ask(grant, ask)
            elif draw.random() < 0.1:
                await self._agent(grant, draw.choice((AE.SET_READY, AE.SET_NOT_READY)))

    async def clerk(self) -> None:
        """Sends reports to the platform: a fact and its message in one transaction."""
        draw = self.world.chance.random
        while not self.calm:
            await asyncio.sleep(draw.random() * 8 / self.haste)
            daemon = self.world.daemon
            if daemon is None or not daemon.ready or self.calm:
                continue
            self._keys += 1
            key, at = f"report-{self._keys}", daemon.clock.now()
            work = Transaction(
                facts=[Fact("report.sent", at, subject=key)],
                messages=[Message(PLATFORM, key, {"report": self._keys}, at)],
            )
            task = self.world.loop.create_task(
                self._reports(daemon, key, work), context=in_life(daemon.life)
            )
            self.world.requests.append(task)

    async def _reports(self, daemon: Daemon, key: str, work: Transaction) -> None:
        try:
            await daemon.recorder.commit(work)
        except StoreError:
            return
        daemon.courier.look()
        self.world.checks.reported(key)

    async def leader(self) -> None:
        """Looks into conversations now and then."""
        draw = self.world.chance.random
        grant = Grant("L-9", "L", LEADER)
        while not self.calm:
            await asyncio.sleep((5.0 + draw.random() * 30) / self.haste)
            daemon = self.world.daemon
            calls = list(daemon.view.book.calls.values()) if daemon and daemon.ready else []
            if calls and not self.calm:
                call = draw.choice(calls)
                service = draw.choice((E.INTRUDE, E.CLEAR_PARTY, E.MUTE))
                await self._ask(grant, self._with_arguments(service, call.id, LEADER))

    def _something(self, seat: str) -> Ask | None:
        """A service for the call that this seat sees on its screen."""
        daemon, draw = self.world.daemon, self.world.chance.random
        if daemon is None or not daemon.ready or self.calm:
            return None
        mine = [
            call
            for call in daemon.view.book.calls.values()
            if call.live and (call.seat_leg(seat) is not None or call.seat == seat)
        ]
        if not mine:
            return None
        return self._with_arguments(draw.choice(SERVICES), mine[0].id, seat)

    def _with_arguments(self, service: E, call: str, seat: str) -> Ask:
        daemon, draw = self.world.daemon, self.world.chance.random
        assert daemon is not None
        self._keys += 1
        leg = None
        if service in (E.CLEAR_PARTY, E.MUTE):
            legs = [leg for leg in daemon.view.book.calls[call].legs.values() if leg.live]
            legs = [leg for leg in legs if leg.role != "citizen" or draw.random() < 0.1]
            leg = draw.choice(legs).id if legs else None
        confirm = draw.random() < (0.3 if service is E.CLEAR_CALL else 0.6)
        if confirm and (service is E.CLEAR_CALL or leg == call):
            self.clearing.add(call)
        return Ask(
            service=service,
            key=f"key-{self._keys}",
            call=call,
            leg=leg,
            seat=seat if seat == LEADER else None,
            to=draw.choice(("12345", "12345", "6001", "6002")),
            mode=draw.choice(("listen", "talk")) if service is E.INTRUDE else None,
            on=draw.random() < 0.5,
            confirm=confirm,
        )

    async def _agent(self, grant: Grant, event: AE) -> None:
        self._keys += 1
        seat = grant.seat or ""
        ask = AgentAsk(event, f"key-{self._keys}", seat, agent=grant.name, role=grant.role)
        await self._until_answered(lambda d: d.commands.agent(grant, ask), ask.key, ask.event, "")

    async def _ask(self, grant: Grant, ask: Ask) -> None:
        wait = self.world.chance.random.choice((0.0, 0.0, 1.0))
        call = ask.call or ""
        self.world.asked[ask.key] = ask
        if ask.service in (E.THREE_WAY, E.CONSULT) and self.world.chance.random.random() < 0.15:
            self._later(
                self.world.chance.delay(1e-4, 8e-3), lambda: self._key_too(grant.seat, call)
            )
        await self._until_answered(
            lambda d: d.commands.call(grant, ask, wait), ask.key, ask.service, call
        )

    async def _until_answered(
        self, work: Callable[[Daemon], object], key: str, what: E | AE, call: str
    ) -> None:
        """Ask; when no answer comes in time, ask again with the same key."""
        self.asking += 1
        try:
            await self._again_and_again(work, key, what, call)
        finally:
            self.asking -= 1

    async def _again_and_again(
        self, work: Callable[[Daemon], object], key: str, what: E | AE, call: str
    ) -> None:
        for _ in range(4):
            code = await self._once(work, key, what.value)
            if code is not None:
                self.told.append(Told(key, what.value, call, code))
                self.world.trace(f"told {key} {what.value} {code}")
                self.world.answered(key, code)
                return
            await asyncio.sleep(self.world.chance.delay(0.1, 2.0))

    async def _once(self, work: Callable[[Daemon], object], key: str, what: str) -> str | None:
        daemon = self.world.daemon
        if daemon is None or not daemon.ready:
            await asyncio.sleep(0.3)
            return None
        self.world.trace(f"asks {key} {what}")
        loop = self.world.loop
        answer: asyncio.Future[str] = loop.create_future()

        def tell(code: str) -> None:
            if not answer.done():
                answer.set_result(code)

        async def request() -> None:
            try:
                reply = await work(daemon)  # type: ignore[misc]
                assert isinstance(reply, Reply)
                code = str(reply.status)
            except (Refused, Problem) as error:
                code = error.code
            self.world.chance.maybe("answer.made")
            loop.call_later(self.world.chance.delay(1e-4, 5e-3), tell, code, context=in_life(0))

        task = loop.create_task(request(), context=in_life(daemon.life))
        self.world.requests.append(task)
        await asyncio.wait([answer], timeout=PATIENCE)
        if not answer.done():
            if not daemon.store.dead:
                task.cancel()
            return None
        return answer.result()
