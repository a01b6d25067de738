"""The switch service against a peer that speaks AMI: it never stays deaf."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.asterisk import service as module
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.service import CelCursor, SwitchService
from bridge.asterisk.translate import Translator
from bridge.domain.call import Book, Call
from bridge.domain.seen import AnySeen, Arrived
from bridge.wire.ami import Message
from tests.asterisk.ami_peer import AmiPeer, Connection
from tests.asterisk.watched import settings

ARRIVED = (
    "UserEvent: CitizenArrived",
    "Channel: PJSIP/trunk-00000001",
    "Uniqueid: 1795490731.1",
    "Case: 1795490731.1",
    "Entry: 110",
    "Number: 13800138000",
)


def now() -> datetime:
    return datetime.now(UTC)


class Owner:
    """Notes what it is shown."""

    def __init__(self) -> None:
        self.book = Book()
        self.seen: list[AnySeen] = []

    def see(self, seen: AnySeen) -> None:
        self.seen.append(seen)

    def known(self, call: str) -> bool:
        return False

    def last_seat(self, seen: Arrived) -> str:
        return ""

    def unobserved(self, call: Call, since: datetime, until: datetime) -> None: ...

    def not_ended(self, call: str) -> bool:
        return True

    def members(self, members: Mapping[str, bool]) -> None: ...

    def phone(self, seat: str, state: str) -> None: ...


@asynccontextmanager
async def at_work(peer: AmiPeer) -> AsyncIterator[Owner]:
    owner = Owner()
    async with asyncio.TaskGroup() as group:

        def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
            group.create_task(work, name=name)

        service = SwitchService(
            owner,
            Translator(lambda _: False, now),
            CelCursor(None, None, lambda _: None),
            seats=lambda _: False,
            now=now,
            spawn=spawn,
            on_ephemeral=lambda *_: None,
        )
        link = AmiLink(
            settings(peer.port),
            rng=random.Random(1),
            on_event=service.event,
            on_up=service.up,
        )
        service.attach(link)
        stop = asyncio.Event()
        running = group.create_task(link.run(stop))
        try:
            yield owner
        finally:
            stop.set()
            await running


async def shown(owner: Owner, count: int) -> None:
    async with asyncio.timeout(10):
        while len(owner.seen) < count:
            await asyncio.sleep(0.005)


def empty_list(connection: Connection, action: Message) -> None:
    connection.respond(action, "EventList: start")
    ident = f"ActionID: {action.get('ActionID')}"
    connection.send("Event: StatusComplete", ident, "EventList: Complete", "ListItems: 0")


async def test_snapshots_that_fail_are_tried_again_until_one_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "AGAIN_S", (0.01,))

    def answer(connection: Connection, action: Message) -> None:
        if len(peer.asked("Status")) > 8:
            empty_list(connection, action)
        else:
            connection.respond(action, "Message: no memory", response="Error")

    async with AmiPeer() as peer:
        peer.answers["Status"] = answer
        async with at_work(peer) as owner:
            await peer.wait_asked("Status", 3)
            peer.event("UserEvent", *ARRIVED)
            await shown(owner, 1)
            assert len(peer.asked("Status")) == 9


async def test_more_events_than_are_kept_lead_to_another_snapshot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BUFFERED", 2)

    def answer(connection: Connection, action: Message) -> None:
        if len(peer.asked("Status")) == 1:
            for _ in range(3):
                peer.event("UserEvent", *ARRIVED)
        empty_list(connection, action)

    async with AmiPeer() as peer:
        peer.answers["Status"] = answer
        async with at_work(peer) as owner:
            await peer.wait_asked("Status", 2)
            await shown(owner, 1)
