"""Planted bugs of orders by radio and fax: what machines say and what people say, mixed up, lost,
or done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bridge.channels import fax, radio
from bridge.channels.radio import GatewayChannel, GatewayPost
from bridge.domain.delivery import A, Cause, Job, Progress, Received, Says
from bridge.domain.order import Attempt, Order
from bridge.domain.order_ladder import progress, resume
from bridge.domain.order_work import Work
from bridge.flows import order_inbox, orders
from bridge.flows.order_inbox import by_radio
from tests.simulation.mutants import Patch, patched
from tests.simulation.orders import run_orders

Answered = tuple[Attempt | None, Order | None]


@dataclass(frozen=True, slots=True)
class OrderMutant:
    """One planted bug; `words` stand in what is found, so that it is this bug that was found.
    `bias` as a `mutants.Mutant` has it."""

    name: str
    words: str
    patches: tuple[Patch, ...]
    bias: tuple[str, str] | None = None

    def find(self, seeds: int) -> tuple[int, str] | None:
        """The first seed that finds it, and what it says; None when `seeds` of them do not."""
        with patched(self.patches):
            for seed in range(1, seeds + 1):
                if self.words in (broken := run_orders(seed, self.bias)[0]):
                    return seed, broken
        return None


_take, _look, _queue = GatewayPost.take, GatewayChannel.look, Work.queue


async def _read_is_signed(self: GatewayPost, body: Mapping[str, Any], seq: int) -> None:
    """A set says that somebody opened the text: taken for that person's word."""
    await _take(self, body, seq)
    if body.get("stage") == "read":
        words = {"kind": "status", "value": 0x8002, "source": "1001", "channel": "radio"}
        await _take(self, {**body, **words}, seq)


def _receipt_ends_the_ladder(work: Work, told: Progress) -> None:
    progress(work, told)
    if told.state in (A.DELIVERED, A.READ) and work.order.step_due is not None:
        work.say("order.step", step=work.order.step, due=None)


async def _nothing_known_is_failed(self: GatewayChannel, attempt: str) -> Progress | None:
    at = self._clock.now()
    failed = Progress(attempt=attempt, state=A.FAILED, at=at, cause=Cause.QUEUE_FULL)
    return await _look(self, attempt) or failed


async def _stored_soon(self: GatewayPost, body: Mapping[str, Any], seq: int) -> None:
    """The port process is told that something is stored before it is."""
    asyncio.get_running_loop().create_task(_take(self, body, seq))


def _newest_is_meant(open_orders: list[Order], told: Received) -> Answered:
    """The newest order is meant, whatever stands in the text."""
    return by_radio(open_orders, replace(told, code=None))


def _result_of_any(open_orders: list[Order], told: Received) -> Answered:
    """A result that comes twice closes one order more."""
    return by_radio(open_orders, replace(told, says=Says.SIGN))


def _unmarked(self: Work, *given: Any, **more: Any) -> None:
    _queue(self, *given, **(more | {"repeat": False}))


def _sends_anew(work: Work) -> None:
    """After a start what was under way is sent as if nothing of it had gone out."""
    for attempt in list(work.order.attempts.values()):
        if attempt.state is A.SENT and not attempt.stopping:
            unit = work.centre.units[attempt.unit]
            _queue(work, attempt.channel, unit, attempt.addresses, attempt.step, after=attempt)
    resume(work)


def _closed_or_not(job: Job, _: object) -> str:
    return job.addresses[0]


def _unknown_is(state: A) -> Patch:
    return radio, "_STATES", {**radio._STATES, "unknown": state}


ORDER_MUTANTS = (
    OrderMutant(
        "read-by-a-set-is-signed",
        "signed for by nobody",
        ((GatewayPost, "take", _read_is_signed),),
    ),
    OrderMutant(
        "receipt-ends-the-ladder", "is silent", ((orders, "progress", _receipt_ends_the_ladder),)
    ),
    OrderMutant(
        "unconfirmed-page-is-delivered", "nobody confirmed them", (_unknown_is(A.DELIVERED),)
    ),
    OrderMutant(
        "unconfirmed-page-has-failed",
        "no mark",
        (_unknown_is(A.FAILED), (radio, "_CAUSES", {**radio._CAUSES, "None": Cause.CUT})),
    ),
    OrderMutant(
        "nothing-known-is-failed", "no mark", ((GatewayChannel, "look", _nothing_known_is_failed),)
    ),
    OrderMutant("repeat-without-mark", "no mark", ((Work, "queue", _unmarked),)),
    OrderMutant("sent-anew-at-restart", "no mark", ((orders, "resume", _sends_anew),)),
    OrderMutant(
        "port-process-told-too-soon",
        "is nowhere",
        ((GatewayPost, "take", _stored_soon),),
        ("store.queued", "kill"),
    ),
    OrderMutant(
        "code-in-a-text-ignored",
        "signed for by nobody",
        ((order_inbox, "by_radio", _newest_is_meant),),
    ),
    OrderMutant(
        "result-by-radio-closes-any",
        "closed by nobody",
        ((order_inbox, "by_radio", _result_of_any),),
    ),
    OrderMutant("closed-number-dialled", "which was closed", ((fax, "dialled", _closed_or_not),)),
)
"""Where a bug was once real, the simulation has found it: code-in-a-text-ignored,
result-by-radio-closes-any."""
