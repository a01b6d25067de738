"""`python -m tests.faults.doomed run --config …`: the daemon as it is, dying at a named step.

The daemon's own code knows nothing of this. Its four doors to the world are watched from outside:
the store, what screens are shown, acts, and actions sent to Asterisk.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bridge.__main__ import main
from bridge.app.orders import OrderService
from bridge.asterisk.acts import Acts
from bridge.asterisk.manager import AmiLink
from bridge.domain.acts import Act, DialThird
from bridge.domain.delivery import Job
from bridge.domain.journal import Entry
from bridge.flows.ports import Channel, Transaction
from bridge.flows.view import View
from bridge.store.store import SqliteStore
from bridge.wire.ami import Message
from tests.faults.parent import AHEAD_VARIABLE, die_with_parent, go_ahead
from tests.faults.steps import VARIABLE, Doom

_acting: ContextVar[str] = ContextVar("call or attempt of the act that is being carried out")


def watch(doom: Doom) -> None:
    """Put the doom at the daemon's four doors."""
    commit, publish = SqliteStore.commit, View.publish
    carry_out, call = Acts.carry_out, AmiLink.call
    use = OrderService.use

    async def watched_commit(self: SqliteStore, work: Transaction) -> Sequence[Entry]:
        for fact in work.facts:
            doom.at("before-commit", fact.kind, fact.call or "")
        return await commit(self, work)

    def watched_publish(self: View, entries: Sequence[Entry]) -> None:
        for entry in entries:
            doom.at("committed", entry.fact.kind, entry.fact.call or "")
        publish(self, entries)
        for entry in entries:
            doom.at("published", entry.fact.kind, entry.fact.call or "")

    async def watched_carry_out(self: Acts, act: Act) -> None:
        name = type(act).__name__
        token = _acting.set(act.call)
        try:
            doom.at("before-act", name, act.call)
            await carry_out(self, act)
            doom.at("after-act", name, act.call)
        finally:
            _acting.reset(token)

    async def watched_call(self: AmiLink, action: str, *rest: Any, **more: Any) -> Message:
        acting = _acting.get(None)
        if acting is not None:
            doom.at("before-action", action, acting)
        answer = await call(self, action, *rest, **more)
        if acting is not None:
            doom.at("after-action", action, acting)
        return answer

    def watched_use(self: OrderService, channel: Channel) -> None:
        _watch_wire(doom, channel)
        use(self, channel)

    doors: tuple[tuple[type, str, object], ...] = (
        (OrderService, "use", watched_use),
        (SqliteStore, "commit", watched_commit),
        (View, "publish", watched_publish),
        (Acts, "carry_out", watched_carry_out),
        (AmiLink, "call", watched_call),
    )
    for owner, name, watched in doors:
        setattr(owner, name, watched)


def _watch_wire(doom: Doom, channel: Channel) -> None:
    """The two doors of one wire of orders."""
    wire, send, withdraw = channel.kind.value, channel.send, channel.withdraw

    async def watched_send(job: Job) -> None:
        _acting.set(job.attempt)
        doom.at("before-send", wire, job.attempt)
        await send(job)
        doom.at("after-send", wire, job.attempt)

    async def watched_withdraw(attempt: str) -> None:
        _acting.set(attempt)
        doom.at("before-withdraw", wire, attempt)
        await withdraw(attempt)
        doom.at("after-withdraw", wire, attempt)

    for name, watched in (("send", watched_send), ("withdraw", watched_withdraw)):
        setattr(channel, name, watched)


PLANT: Final = "FAULTS_PLANTED_BUG"
"""Names a bug that the daemon shall have, so that it is known to be found."""
EARLY_S: Final = 0.3


def plant(bug: str) -> None:
    """`dials twice`: a third party is called a second time, beside the call that was asked for.
    `shows early`: screens are told what is not stored yet."""
    carry_out, commit, begin = Acts.carry_out, SqliteStore.commit, View.__init__
    views: list[View] = []

    async def twice(self: Acts, act: Act) -> None:
        await carry_out(self, act)
        if isinstance(act, DialThird):
            await carry_out(self, replace(act, leg=f"{act.leg}-again"))

    async def early(self: SqliteStore, work: Transaction) -> Sequence[Entry]:
        for view in views:
            view.publish([Entry("", 0, fact, "", "") for fact in work.facts])
        await asyncio.sleep(EARLY_S)
        return await commit(self, work)

    def known(self: View, *rest: Any) -> None:
        begin(self, *rest)
        views.append(self)

    planted: dict[str, dict[tuple[type, str], object]] = {
        "dials twice": {(Acts, "carry_out"): twice},
        "shows early": {(SqliteStore, "commit"): early, (View, "__init__"): known},
    }
    for (owner, name), wrong in planted[bug].items():
        setattr(owner, name, wrong)


if __name__ == "__main__":
    die_with_parent()
    if PLANT in os.environ:
        plant(os.environ[PLANT])
    if AHEAD_VARIABLE in os.environ:
        go_ahead()
    watch(Doom(Path(os.environ[VARIABLE])))
    main()
