"""When the link to the switch is whole again, calls that nobody could stop meanwhile end."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from bridge.app.orders import Post, _settled
from bridge.asterisk.order_calls import PREFIX, OrderCalls
from bridge.channels.phone import PhoneChannel
from bridge.channels.spoken import Speech
from bridge.domain.delivery import A, ChannelKind
from bridge.wire.ami import Message
from tests.asterisk.ami_peer import AmiPeer, Connection
from tests.asterisk.watched import running, settings
from tests.orders.order_kit import SEAT, Kit, life
from tests.orders.voices_kit import voices_of


async def ringing(kit: Kit, unit: str = "water") -> tuple[str, str]:
    """An order whose duty phone is being called: order and attempt."""
    (order,) = await kit.send(unit, klass="URGENT")
    (attempt,) = [
        one.id
        for one in (await kit.order(order)).attempts.values()
        if one.channel is ChannelKind.PHONE
    ]
    await kit.tell(attempt, A.SENDING, A.SENT)
    return order, attempt


async def test_calls_about_what_was_cancelled_end_and_the_others_go_on(tmp_path: Path) -> None:
    async with (
        life(tmp_path) as kit,
        voices_of(kit, up=set()) as (voices, _),
        AmiPeer() as peer,
        running(settings(peer.port)) as watched,
    ):
        await watched.wait_up()
        (cancelled, gone), (_, wanted) = await ringing(kit), await ringing(kit, "housing")
        there = [PREFIX + gone, PREFIX + wanted, "1764000000.9", PREFIX + "unknown-01.1"]

        def status(connection: Connection, asked: Message) -> None:
            connection.respond(asked, "EventList: start")
            ident = f"ActionID: {asked.get('ActionID')}"
            for unique in there:
                connection.send("Event: Status", ident, f"Uniqueid: {unique}")
            connection.send("Event: StatusComplete", ident, "EventList: Complete", "ListItems: 4")

        peer.answers["Status"] = status
        peer.answers["Hangup"] = lambda connection, asked: connection.respond(asked)

        def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
            kit.tasks.create_task(work, name=f"work:{name}")

        calls = OrderCalls(watched.link, kit.clock.now)
        phone = PhoneChannel(
            calls,
            Post(kit.orders, kit.inbox),
            Speech(tmp_path),
            now=kit.clock.now,
            spawn=spawn,
            seat_of=lambda _: "",
            lines=2,
        )
        settled = _settled(calls, phone, kit.orders, voices, spawn)
        settled(False)
        assert not calls.settled.is_set()
        await kit.desk.cancel(SEAT, cancelled, "误派", "key-cancel")
        settled(True)
        assert calls.settled.is_set()
        await kit.settled()
        ended = {asked.get("Channel") for asked in peer.asked("Hangup")}
        assert ended == {PREFIX + gone, PREFIX + "unknown-01.1"}
