"""A door of ground `desk`: texts and senders from the air, by every driver, to every screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from bridge.app.orders import Post
from bridge.channels.radio import GatewayPost
from bridge.flows.order_events import order_doc
from bridge.flows.order_inbox import Inbox
from hardware.ports import told
from hardware.ports.wire import Decoder, encode
from tests.attack.air import every_way
from tests.attack.corpus import Hostile
from tests.attack.doors import door
from tests.attack.doors_desk import ORDER, DeskGround

PHONE: Final = "13900006001"


@door("desk", "radio and SMS: texts from the air")
async def from_the_air(ground: DeskGround, strings: Sequence[Hostile]) -> None:
    """From a stranger a person looks; with an order's code from a registered telephone the words
    are a report, and stand in the order, the case and what desks are told."""
    kit = ground.kit
    given = await ground.client().do("POST", f"cases/{ground.case}/orders", ORDER)
    order = kit.orders.orders.book.orders[given.json()["orders"][0]["order"]]
    inbox = Inbox(kit.orders.orders)  # other doors have closed this unit's way by wrong codes
    post = GatewayPost(Post(kit.orders.orders, inbox))
    units = kit.orders.orders.units
    kit.orders.orders.units = {**units, order.unit: replace(units[order.unit], sms=(PHONE,))}
    seq = 0
    for one in strings:
        for event in await every_way(one.text):
            seq += 1
            body: dict[str, Any] = told.kept(event) or {}
            body |= {"gateway": "radio-1", "at": datetime.now(UTC).isoformat()}
            await _tell(post, seq, body | {"channel": "radio"})
            if body["kind"] == "text":
                words = f"{body['text']}，正在处理 {order.code}"
                known = {"source": PHONE, "channel": "sms", "text": words}
                await _tell(post, seq, body | known | {"gateway": "sms-1"})
    reports = order_doc(kit.orders.orders.book.orders[order.id], code=False)["reports"]
    assert isinstance(reports, list)
    assert len(reports) > len(strings) // 4


async def _tell(post: GatewayPost, seq: int, body: dict[str, Any]) -> None:
    (message,) = Decoder().feed(encode(told.thing(seq, body)))
    await post.take(message["body"], message["seq"])
