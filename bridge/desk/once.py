"""The same key twice does the thing once and gives the same answer (guard rule 3).

Commands of this run are remembered here, with refusals, while they run and ten minutes after.
Those of an earlier run are found in the store: its unique key refuses a repeat, so the lookup is
only made when something was refused and a first request costs no read.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from bridge.desk.problems import Problem
from bridge.domain.errors import Refused
from bridge.flows.calls import Spawn
from bridge.flows.ports import Answer, StoreError

_log = structlog.get_logger(__name__)

LIFE_SECONDS = 600.0
KEPT = 20_000
"""Keys remembered here; beyond, the oldest go, and the store still knows them."""
ANSWER_SECONDS = 15.0
"""Commit (3 s) and acts on the switch have their own deadlines; above this nobody knows."""

_AFTER_COMMIT = frozenset({"switch-refused", "switch-down", "outcome-unknown"})
"""Refusals after the request was stored: the stored answer is this command's own, not an older."""


@dataclass(slots=True)
class _Known:
    what: object
    at: float
    done: asyncio.Future[Answer]


class Once:
    """Runs each command once. `answers` finds the stored answer of a key."""

    def __init__(
        self,
        *,
        answers: Callable[[str], Awaitable[Answer | None]],
        monotonic: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        self._answers = answers
        self._monotonic = monotonic
        self._spawn = spawn
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def do(
        self, key: str, what: object, work: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> Answer:
        """The answer to command `key`; `what` tells a repeat from a key used for something else.

        The work goes on when whoever waits goes away. Raises what `work` raised: Refused or
        Problem; a StoreError of it becomes Refused: store-cannot-write, or outcome-unknown where
        the store cannot say whether it was done. Problem: key-reused, not-ready.
        """
        self._forget()
        known = self._known.get(key)
        if known is not None and known.what != what:
            raise Problem("key-reused")
        if known is None:
            known = _Known(what, self._monotonic(), asyncio.get_running_loop().create_future())
            running = self._run(key, known.done, work)
            self._spawn(running, f"command {key}")
            if inspect.getcoroutinestate(running) == inspect.CORO_CLOSED:
                raise Problem("not-ready")  # the daemon is stopping and starts nothing any more
            self._known[key] = known
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asyncio.shield(known.done)
        except TimeoutError as error:
            raise Refused("outcome-unknown") from error

    async def _run(
        self,
        key: str,
        done: asyncio.Future[Answer],
        work: Callable[[], Coroutine[Any, Any, Answer]],
    ) -> None:
        try:
            try:
                done.set_result(await work())
            except (Refused, Problem) as error:
                stored = None if error.code in _AFTER_COMMIT else await self._stored(key)
                _end(done, error if stored is None else stored)
            except StoreError as error:
                _log.error("desk.store_away", key=key, reason=str(error))
                _end(done, await self._answered_or_not(key))
        finally:
            if not done.done():
                done.set_exception(Problem("internal"))
                done.exception()

    async def _answered_or_not(self, key: str) -> Answer | Refused:
        """What became of a command that the store left half way."""
        try:
            stored = await self._answers(key)
        except StoreError as error:
            _log.warning("desk.answers_unreadable", reason=str(error))
            return Refused("outcome-unknown")
        return Refused("store-cannot-write") if stored is None else stored

    async def _stored(self, key: str) -> Answer | None:
        try:
            return await self._answers(key)
        except StoreError as error:
            _log.warning("desk.answers_unreadable", reason=str(error))
            return None

    def _forget(self) -> None:
        oldest = self._monotonic() - LIFE_SECONDS
        while self._known:
            key, known = next(iter(self._known.items()))
            if known.at > oldest and len(self._known) < KEPT:
                return
            del self._known[key]


def _end(done: asyncio.Future[Answer], what: Answer | Exception) -> None:
    if isinstance(what, Answer):
        done.set_result(what)
    else:
        done.set_exception(what)
        done.exception()  # a waiter that has gone away leaves no complaint
