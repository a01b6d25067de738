"""The fax desk: what is paused and which numbers are not dialled, by whom and why.

Stands between the fax wires and the orders: every outcome goes on to its order first, then it is
looked at for what it says of the number. Rules are durable before they hold, and every change of
them is a fact with its actor.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from bridge.domain.delivery import Progress, Received
from bridge.domain.errors import Refused
from bridge.domain.fax_rules import FaxRules, Said, digits
from bridge.domain.journal import Fact
from bridge.flows.ports import (
    Answer,
    Clock,
    FromChannel,
    StoreError,
    StoreRepeat,
    StoreUnknown,
    Transaction,
)
from bridge.flows.recorder import Recorder

_log = structlog.get_logger(__name__)

RULES_CURSOR = "fax.rules"
AGAIN_SECONDS = 0.5


class FaxDesk:
    """Implements `ports.FromChannel` for the fax wires. `stored` is what the cursor holds; `tell_
    modems` gives what is paused to whoever owns the modems."""

    def __init__(
        self,
        recorder: Recorder,
        clock: Clock,
        inner: FromChannel,
        alarm: Callable[[str, str], None],
        stored: str | None,
        tell_modems: Callable[[Mapping[str, str]], Awaitable[None]],
    ) -> None:
        self.rules = FaxRules.from_doc(json.loads(stored)) if stored else FaxRules()
        self._recorder = recorder
        self._clock = clock
        self._inner = inner
        self._alarm = alarm
        self._tell_modems = tell_modems
        self._turn = asyncio.Lock()
        for number in self.rules.blocked:
            self._alarm_of(number)

    # What wires tell

    async def progress(self, progress: Progress) -> None:
        """Durable when it returns."""
        await self._inner.progress(progress)
        self._identity(progress)
        if not self.rules.heard(progress):
            return
        async with self._turn:
            said = self.rules.heard(progress)
            while said:
                try:
                    await self._store(said, "daemon")
                except StoreError as error:
                    _log.warning("fax.rules_not_stored", reason=str(error))
                    await asyncio.sleep(AGAIN_SECONDS)
                else:
                    return

    def _identity(self, told: Progress) -> None:
        """A person is warned where another station answered than the one that was dialled."""
        number, station = digits(str(told.data.get("number") or "")), told.data.get("far_id")
        if number and station:
            other = bool(told.data.get("other_station"))
            words = f"传真 {number} 由 {station} 应答,请核对号码 / answered by another station"
            self._alarm(f"fax.identity.{number}", words if other else "")

    async def received(self, received: Received) -> object:
        """Durable when it returns; whether it counted."""
        return await self._inner.received(received)

    # What people decide

    async def pause(self, who: str, modem: str, reason: str, key: str) -> Answer:
        """A modem, or all sending (empty name), rests. Raises Refused."""
        return await self._decide(who, key, ("fax.paused", modem, {"reason": _reason(reason)}))

    async def resume(self, who: str, modem: str, key: str) -> Answer:
        """It goes on. Raises Refused."""
        return await self._decide(who, key, ("fax.resumed", modem, {}))

    async def block(self, who: str, number: str, reason: str, key: str) -> Answer:
        """A number is not dialled any more. Raises Refused."""
        said: Said = ("fax.blocked", digits(number), {"reason": _reason(reason)})
        return await self._decide(who, key, said)

    async def unblock(self, who: str, number: str, key: str) -> Answer:
        """A number may be dialled again; what was counted of it is forgotten. Raises Refused."""
        return await self._decide(who, key, ("fax.unblocked", digits(number), {}))

    async def tell_modems(self) -> None:
        """What is paused, to who owns the modems: at each of its starts, and at each change."""
        await self._tell_modems(dict(self.rules.paused))

    async def _decide(self, who: str, key: str, said: Said) -> Answer:
        answer = Answer(key, 200, {"subject": said[1]})
        async with self._turn:
            try:
                await self._store([said], who, answer)
            except StoreUnknown as error:
                raise Refused("outcome-unknown") from error
            except StoreRepeat as error:
                raise Refused("already-answered") from error
            except StoreError as error:
                raise Refused("store-cannot-write") from error
        if said[0] in ("fax.paused", "fax.resumed"):
            await self.tell_modems()
        return answer

    async def _store(self, said: Sequence[Said], actor: str, answer: Answer | None = None) -> None:
        """Facts and the rules after them, in one transaction. Raises StoreError."""
        now = self._clock.now()
        after = copy.deepcopy(self.rules)
        for one in said:
            after.apply(one)
        facts = [Fact(kind, now, None, None, subject, actor, data) for kind, subject, data in said]
        cursors = {RULES_CURSOR: json.dumps(after.as_doc())}
        await self._recorder.commit(Transaction(facts, cursors=cursors, answer=answer, urgent=True))
        self.rules = after
        for kind, subject, _ in said:
            if kind in ("fax.blocked", "fax.unblocked"):
                self._alarm_of(subject)

    def _alarm_of(self, number: str) -> None:
        why = self.rules.blocked.get(number, "")
        words = f"传真号码 {number} 已停拨:{why};请核对号码 / not dialled any more: check it"
        self._alarm(f"fax.number.{number}", words if why else "")


def _reason(reason: str) -> str:
    if not reason.strip():
        raise Refused("reason-missing")
    return reason
