"""Runs random programmes, several at a time in one world, and judges every citizen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

from bridge.lab.phone import Behaviour, Manner, Phone
from tests.faults.cell import BOTH_DEAD_MS, DEAD_PHONE_MS, Bounds, Line, broken
from tests.faults.programme import Programme, Step, words
from tests.faults.rounds import TAIL_S, TRUTH_WAIT_S, Judged, mend, not_in_journal, well
from tests.faults.stage import PRESSES_1, SEATS, UNITS, Stage, Talk, now
from tests.faults.strikes import restart
from tests.faults.truth import double_acts, fate, silence_ms, wait_truth

REST_S: Final = 0.5
FATES: Final = ("alive", "left", "ended", "lost_with_asterisk", "dropped")


@dataclass
class Run:
    """One programme under way."""

    stage: Stage
    seed: int
    steps: Programme
    first: int
    """Number of its first third party among the units."""
    talks: dict[int, Talk] = field(default_factory=dict)
    died: set[int] = field(default_factory=set)
    may_end: set[int] = field(default_factory=set)
    may_leave: set[int] = field(default_factory=set)

    async def run(self) -> None:
        """Every step at its turn."""
        for step in self.steps:
            talk = self.talks.get(step.who)
            if step.do == "dial":
                await self._dial(step.who)
            elif step.do == "world":
                await self._world(step.what)
            elif step.do != "wait" and talk is not None:
                await self._one(step, talk)
            await asyncio.sleep(step.pause)

    async def _dial(self, who: int) -> None:
        if who not in self.talks:
            self.talks[who] = await self.stage.dial(UNITS[(self.first + who) % len(UNITS)])

    async def _one(self, step: Step, talk: Talk) -> None:
        seat = seat_of(talk)
        if step.do == "ask" and seat is not None:
            await self._ask(step, talk, seat)
        elif step.do == "key" and seat is not None:
            at_seat = talk.at(seat)
            if at_seat is not None:
                talk.keys_pressed += 1
                with contextlib.suppress(TimeoutError):
                    await at_seat.press("*1")
        elif step.do == "peer":
            talk.third.behaviour = behaviour(step.what)
        elif step.do in ("hang", "die"):
            await self._part(step, talk, seat)

    async def _ask(self, step: Step, talk: Talk, seat: Phone) -> None:
        talk.seat = seat
        if not talk.id:
            with contextlib.suppress(TimeoutError, OSError, RuntimeError, ValueError):
                talk.id = str((await talk.state(*ANY, within=0.5))["id"])
        if not talk.id:
            return
        if step.what in ("leave", "clear", "reconnect", "cancel"):
            self.may_end.add(step.who)
        body = {"to": talk.third.user} if step.what in ("three-way", "transfer", "consult") else {}
        with contextlib.suppress(LookupError, RuntimeError):
            await talk.ask(step.what, **body)

    async def _part(self, step: Step, talk: Talk, seat: Phone | None) -> None:
        phone = {"citizen": talk.phone, "seat": seat, "third": talk.third}[step.what]
        if phone is None or phone.user in self.stage.dead:
            return
        if step.what == "citizen":
            self.may_leave.add(step.who)
        if step.do == "die":
            self.died.add(step.who)
            await self.stage.die(phone)
            return
        self.may_end.add(step.who)
        call = talk.citizen if step.what == "citizen" else talk.at(phone)
        if call is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await call.hangup()

    async def _world(self, what: str) -> None:
        stage = self.stage
        if what == "kill" and stage.world.daemon.running:
            stage.world.daemon.kill()
        elif what in ("cut", "dead") and stage.ami.mode == "open":
            await stage.ami.be("refuse" if what == "cut" else "dead")
        elif what in ("full", "fails"):
            stage.orders.give(full=what == "full", failing=what == "fails")
        elif what == "mend":
            await mended(stage)


ANY: Final = ("queued", "alerting", "established", "conferenced", "parted", "held", "consulting",
              "alternated", "waiting", "ending")  # fmt: skip


def behaviour(what: str) -> Behaviour:
    """How a third party takes its next calls."""
    if what == "auto":
        return PRESSES_1
    return Behaviour() if what == "machine" else Behaviour(cast(Manner, what))


def seat_of(talk: Talk) -> Phone | None:
    """The seat that is in this citizen's call now."""
    phones = (talk.stage.phones[seat] for seat in SEATS)
    return next((phone for phone in phones if talk.at(phone) is not None), None)


async def mended(stage: Stage) -> None:
    """The daemon's world is as it should be, or about to be."""
    stage.orders.give()
    await mend(stage)
    if not stage.world.daemon.running:
        await restart(stage, 0.0)


@contextlib.asynccontextmanager
async def managed(stage: Stage) -> AsyncIterator[None]:
    """As the service manager does, a daemon that ends by itself is started again: one that began
    while a programme had filled the disk may only now find that it cannot."""

    async def manage() -> None:
        while True:
            if not stage.world.daemon.running:
                await restart(stage)
            await asyncio.sleep(0.05)

    managing = asyncio.ensure_future(manage())
    try:
        yield
    finally:
        managing.cancel()
        await asyncio.gather(managing, return_exceptions=True)


async def run_batch(stage: Stage, programmes: Sequence[tuple[int, Programme]]) -> list[Judged]:
    """All at the same time. One line each, which tells the worst of its citizens."""
    await asyncio.gather(*(stage.ready(seat) for seat in SEATS))
    runs = [
        Run(stage, seed, steps, first=2 * number) for number, (seed, steps) in enumerate(programmes)
    ]
    since = now()
    await asyncio.gather(*(run.run() for run in runs))
    await asyncio.sleep(REST_S)
    await mended(stage)
    over = now()
    talks = [talk for run in runs for talk in run.talks.values()]
    async with managed(stage):
        for talk in talks:
            await talk.repeat_unanswered()
        seen = dict(zip((t.number for t in talks), await wait_truth(stage, talks, TRUTH_WAIT_S),
                        strict=True))  # fmt: skip
    await asyncio.sleep(TAIL_S)
    until = now()
    world = any(step.do == "world" for run in runs for step in run.steps)
    limits = {
        talk.number: Bounds(
            silence_ms=(BOTH_DEAD_MS if world else DEAD_PHONE_MS) if run.died else 1000,
            may_end=who in run.may_end,
            may_leave=who in run.may_leave,
        )
        for run in runs
        for who, talk in run.talks.items()
    }
    fates = {t.number: fate(t, limits[t.number], until) for t in talks}
    doubles = {t.number: double_acts(t) for t in talks}
    dead = dict(stage.dead)
    await well(stage)
    lost = await asyncio.to_thread(not_in_journal, stage, talks)
    await stage.clear()
    judged = []
    for run in runs:
        lines = []
        for talk in run.talks.values():
            one = seen[talk.number]
            truth = None if one.at is None else round(max(0.0, one.at - over), 2)
            line = Line(
                "random",
                f"{len(run.talks)} calls",
                words(run.steps),
                fates[talk.number],
                silence_ms(talk, since, dead.get(talk.number, until)),
                lost[talk.number],
                doubles[talk.number],
                truth,
                seed=run.seed,
                detail="" if one.at is not None else one.differed,
            )
            limit = limits[talk.number]
            # Who was to leave may have stayed: the step came too late, or never.
            stays = limit.may_leave and line.citizen in ("alive", "ended")
            limit = replace(limit, may_leave=False) if stays else limit
            lines.append(Judged(line, tuple(broken(line, limit))))
        judged.append(_worst(run, lines))
    return judged


def _worst(run: Run, lines: Sequence[Judged]) -> Judged:
    """One line for a programme."""
    if not lines:
        return Judged(Line("random", "0 calls", words(run.steps), "left", 0, 0, 0, 0.0,
                           seed=run.seed), ())  # fmt: skip
    first = lines[0].line
    truths = [one.line.truth_s for one in lines]
    line = replace(
        first,
        citizen=max((one.line.citizen for one in lines), key=FATES.index),
        silence_ms=max(one.line.silence_ms for one in lines),
        handoffs_lost=sum(one.line.handoffs_lost for one in lines),
        double_acts=sum(one.line.double_acts for one in lines),
        truth_s=None if None in truths else max(t for t in truths if t is not None),
        detail="; ".join(filter(None, (one.line.detail for one in lines))),
    )
    return Judged(line, tuple(words for one in lines for words in one.broken))
