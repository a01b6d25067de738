"""Orders on the network terminal of a unit: pushed, received, read; off: the next wire at once.

The order itself stands on the unit's page, drawn from the record; what is pushed is only that there
is one. A terminal that does not say within seconds that it has it counts as off.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

from bridge.domain.delivery import A, Cause, ChannelKind, Job, Progress
from bridge.domain.journal import Json, iso
from bridge.domain.order import Attempt
from bridge.flows.calls import Spawn
from bridge.flows.ports import FromChannel
from bridge.flows.terminals import Terminals

RECEIPT_SECONDS = 10.0
"""A terminal says that it has an order within this, or it is held to be off."""
BACK_SECONDS = 15.0
"""After a start of ours terminals come back within this."""
SENT_KEPT = 20_000


class TerminalChannel:
    """The wire `terminal`. `attempt_of` is the record of an attempt, or None."""

    kind = ChannelKind.TERMINAL

    def __init__(
        self,
        terminals: Terminals,
        tell: FromChannel,
        *,
        attempt_of: Callable[[str], Attempt | None],
        user_unit: Callable[[str], str | None],
        alarm: Callable[[str, str], None],
        now: Callable[[], datetime],
        spawn: Spawn,
    ) -> None:
        self._terminals = terminals
        self._tell = tell
        self._attempt_of = attempt_of
        self._user_unit = user_unit
        self._alarm = alarm
        self._now = now
        self._spawn = spawn
        self._sent: OrderedDict[str, None] = OrderedDict()

    # ports.Channel

    async def send(self, job: Job) -> None:
        """Push, or say at once that nobody is there. The same attempt again does nothing."""
        if job.attempt in self._sent:
            return
        self._sent[job.attempt] = None
        while len(self._sent) > SENT_KEPT:
            self._sent.popitem(last=False)
        await self._progress(job.attempt, A.SENDING)
        await self._push(job.attempt, job.sheet.unit, job.sheet.order)

    async def withdraw(self, attempt: str) -> None:
        """The page shows the order's present state; a terminal that has it has it."""
        record = self._attempt_of(attempt)
        if record is not None and record.state in (A.QUEUED, A.SENDING, A.SENT):
            await self._progress(attempt, A.WITHDRAWN)
        if record is not None:
            order = attempt.rpartition(".")[0]
            self._terminals.push(record.unit, {"op": "changed", "order": order})

    async def look(self, attempt: str) -> Progress | None:
        """What was received is known from the record; the rest is pushed again, which shows the
        same order and does nothing twice."""
        record = self._attempt_of(attempt)
        if record is None:
            return None
        if record.state in (A.DELIVERED, A.READ):
            return Progress(attempt=attempt, state=record.state, at=self._now())
        self._spawn(self._again(attempt, record.unit), f"terminal {attempt}")
        return Progress(attempt=attempt, state=A.SENT, at=self._now(), detail="重新推送")

    async def test(self, addresses: Sequence[str]) -> str:
        """Whether a terminal of these users' unit is connected."""
        units = {self._user_unit(user) for user in addresses}
        if any(unit is not None and self._terminals.online(unit) for unit in units):
            return ""
        return "终端离线 / no terminal is connected"

    # What terminals say

    async def received(self, attempt: str, unit: str) -> None:
        """A terminal of the unit has it."""
        await self._mark(attempt, unit, A.DELIVERED)

    async def read(self, attempt: str, unit: str) -> None:
        """It was opened there."""
        await self._mark(attempt, unit, A.READ)

    async def _mark(self, attempt: str, unit: str, state: A) -> None:
        record = self._attempt_of(attempt)
        if record is None or record.unit != unit or record.channel is not self.kind:
            return
        await self._progress(attempt, state)

    async def _push(self, attempt: str, unit: str, order: str) -> None:
        message: dict[str, Json] = {
            "op": "order",
            "order": order,
            "attempt": attempt,
            "at": iso(self._now()),
        }
        if not self._terminals.push(unit, message):
            await self._off(attempt, unit, "终端离线")
            return
        await self._progress(attempt, A.SENT)
        self._spawn(self._receipt(attempt, unit), f"receipt {attempt}")

    async def _again(self, attempt: str, unit: str) -> None:
        """After a start: wait until the unit's terminal is back, then push."""
        for _ in range(int(BACK_SECONDS)):
            if self._terminals.online(unit):
                break
            await asyncio.sleep(1.0)
        await self._push(attempt, unit, attempt.rpartition(".")[0])

    async def _receipt(self, attempt: str, unit: str) -> None:
        await asyncio.sleep(RECEIPT_SECONDS)
        record = self._attempt_of(attempt)
        if record is not None and record.state in (A.SENDING, A.SENT) and not record.stopping:
            await self._off(attempt, unit, "终端未确认收到")

    async def _off(self, attempt: str, unit: str, detail: str) -> None:
        self._alarm(f"terminal.{unit}", f"单位 {unit} 的终端离线 / its terminal is off")
        await self._tell.progress(
            Progress(
                attempt=attempt,
                state=A.FAILED,
                at=self._now(),
                cause=Cause.OFFLINE,
                detail=detail,
            )
        )

    async def _progress(self, attempt: str, state: A) -> None:
        await self._tell.progress(Progress(attempt=attempt, state=state, at=self._now()))
