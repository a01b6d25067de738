"""Orders on their way, one fault for all of them or a kill at a step, and what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from bridge.lab.desk_client import DeskClient
from bridge.lab.root import AsteriskRoot
from tests.faults.fax_wire import FaxLines, FaxWire, fax_lines, fax_toml
from tests.faults.order_matrix import GOES_ON_S, OrderFault, OrderKill, OrderLine, unmarked
from tests.faults.order_wires import (
    MAIL_KEY,
    SIGNS,
    MailWire,
    PhoneWire,
    Wire,
    mail_toml,
    post_office,
    unit_of,
)
from tests.faults.proxy import Mode, Road
from tests.faults.radio_wire import Field, RadioWire, radio_field
from tests.faults.rounds import DEATH_S, NOT_REACHED, mend
from tests.faults.stage import SEATS, Stage, now, stage
from tests.faults.states import talk_with_seats
from tests.faults.steps import Step
from tests.faults.strikes import RESTART_S, restart

DOWN_S: Final = 3.0
WORDS: Final = "解放路水管爆裂,请到场抢修"
POLL_S: Final = 0.2
PATIENCE_S: Final = 7.0
"""People sign only then, and as long again later where the daemon has not yet found out what
became of its attempts."""
QUIET_S: Final = 1.5
"""After a signature nothing more may come."""
STORY_SCENES: Final = {"signs": "ringing", "busy": "busy", "withdrawn": "ringing", "sent": "sent",
                       "deferred": "deferred", "shown": "read", "returned": "printed"}  # fmt: skip


@dataclass
class OrderStage:
    """A world with wires, and a case to give orders for."""

    stage: Stage
    wires: Mapping[str, Wire]
    smtp: Road
    radio: Field
    fax: FaxLines
    case: str = ""
    desk: DeskClient = field(init=False)

    def __post_init__(self) -> None:
        self.desk = self.stage.desk(SEATS[0])

    async def open_case(self) -> None:
        """A citizen has called and hung up."""
        (talk,) = await talk_with_seats(self.stage, 1)
        self.desk = self.stage.desk(talk.seat.user if talk.seat else SEATS[0])
        self.case = str((await self.desk.call(talk.id))["case"])
        await self.stage.clear()

    async def give(self, wire: str, scene: str) -> str:
        """An order to the scene's unit, asked for with one key until answered."""
        key = secrets.token_hex(12)
        body = {"units": [unit_of(wire, scene)], "klass": "GENERAL", "words": WORDS}
        ends = now() + GOES_ON_S
        while now() < ends:
            with contextlib.suppress(OSError, ValueError):
                reply = await self.desk.request("POST", f"cases/{self.case}/orders", body, key)
                if reply.ok:
                    return str(reply.doc["orders"][0]["order"])
                if reply.status < 500 and reply.status != 409:
                    raise RuntimeError(f"order refused: {reply}")
            await asyncio.sleep(POLL_S)
        raise TimeoutError(f"no order to {wire} {scene}")

    async def order(self, ident: str) -> dict[str, Any] | None:
        """As the desk shows it; None while it cannot."""
        with contextlib.suppress(OSError, ValueError):
            reply = await self.desk.request("GET", f"orders/{ident}")
            if reply.ok:
                return dict(reply.doc)
        return None

    async def clear(self) -> None:
        """Nothing of the round is left: orders closed by their result, telephones at rest."""
        found = (await self.desk.must("GET", f"cases/{self.case}/orders"))["orders"]
        result = {"kind": "result", "text": "已处置", "by": "张三"}
        for order in found:
            if order["state"] not in ("cancelled", "closed"):
                await self.desk.request("POST", f"orders/{order['order']}/reports", result)
        await self.stage.clear()


@contextlib.asynccontextmanager
async def order_stage(root: AsteriskRoot) -> AsyncIterator[OrderStage]:
    """A furnished world with all wires; everything is gone afterwards."""
    units = "".join(wire.directory() for wire in (PhoneWire, MailWire, RadioWire, FaxWire))
    async with contextlib.AsyncExitStack() as ends:
        place = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="bridge110-ports-")))
        office, road = await ends.enter_async_context(post_office())
        lines = ends.enter_context(fax_lines(place))
        radio = await ends.enter_async_context(radio_field(place, {"fax": lines.gateway()}))

        def more(run: Path) -> str:
            return mail_toml(road.port, run / MAIL_KEY) + radio.toml() + fax_toml(run)

        there = await ends.enter_async_context(stage(root, units=units, more=more))
        wires: tuple[Wire, ...] = (
            PhoneWire(there),
            MailWire(there, office, road),
            RadioWire(there, radio),
            FaxWire(there, lines),
        )
        made = OrderStage(there, {wire.name: wire for wire in wires}, road, radio, lines)
        await made.open_case()
        yield made


Scene = tuple[Wire, str]


async def run_order_fault(there: OrderStage, fault: OrderFault) -> list[OrderLine]:
    """This fault for one order in every scene of every wire."""
    scenes = [(wire, scene) for wire in there.wires.values() for scene in wire.scenes]
    for wire, scene in scenes:
        wire.prepare(scene)
    orders = await asyncio.gather(*(there.give(wire.name, scene) for wire, scene in scenes))
    await asyncio.gather(*(wire.reached(scene) for wire, scene in scenes))
    await asyncio.gather(*(wire.at_the_fault(scene) for wire, scene in scenes))
    try:
        await _STRIKES[fault](there)
    finally:
        await well(there)
    found = await _judge(there, scenes, orders, fault.value)
    await there.clear()
    return found


async def well(there: OrderStage) -> None:
    """No step armed, roads open, the far sides as they should be."""
    await mend(there.stage)
    there.stage.orders.give()
    if there.smtp.mode != "open":
        await there.smtp.be("open")
    for wire in there.wires.values():
        wire.mend()
    there.fax.well()
    await there.radio.well()
    if not there.stage.world.daemon.running:
        await restart(there.stage, 0.0)


async def run_order_kill(there: OrderStage, kill: OrderKill) -> OrderLine:
    """The daemon dies at a step of a story, and comes back."""
    story = kill.story
    wire, scene = there.wires[story.wire], STORY_SCENES[story.name]
    wire.prepare(scene)
    if story.name == "signs":
        there.stage.phones[PhoneWire.PHONES[scene]].behaviour = SIGNS
    there.stage.doom(Step(kill.place, kill.what))
    giving = asyncio.ensure_future(there.give(story.wire, scene))
    played = asyncio.ensure_future(_play(there, wire, scene, story.name, giving))
    ends = now() + DEATH_S + GOES_ON_S / 2
    while there.stage.world.daemon.running and now() < ends:
        await asyncio.sleep(0.02)
    died = not there.stage.world.daemon.running
    played.cancel()
    await asyncio.gather(played, return_exceptions=True)
    await asyncio.sleep(RESTART_S)
    await well(there)
    order = await giving
    (line,) = await _judge(there, [(wire, scene)], [order], kill.name)
    line = replace(line, scene=story.title)
    await there.clear()
    return line if died else replace(line, on_s=None, detail=NOT_REACHED)


async def _play(
    there: OrderStage, wire: Wire, scene: str, story: str, giving: asyncio.Future[str]
) -> None:
    """What people do in a story until the daemon dies."""
    order = await asyncio.shield(giving)
    await wire.reached(scene)
    while True:
        if story == "withdrawn":
            await there.desk.request("POST", f"orders/{order}/acknowledge", {"by": "张三"})
        if story in ("sent", "shown", "returned"):
            await wire.sign(scene)
        await asyncio.sleep(POLL_S)


async def _judge(
    there: OrderStage, scenes: Sequence[Scene], orders: Sequence[str], fault: str
) -> list[OrderLine]:
    """Until each is signed and a little longer; then what came on the wires is counted."""
    mended = now()
    at: dict[str, float] = {}
    while now() < mended + GOES_ON_S + 5 and len(at) < len(orders):
        for (wire, scene), ident in zip(scenes, orders, strict=True):
            if ident in at:
                continue
            order = await there.order(ident)
            if order is not None and order["acknowledged"]:
                at[ident] = now() - mended
            elif now() > mended + (PATIENCE_S if _settled(order) else 2 * PATIENCE_S):
                await wire.sign(scene)
        await asyncio.sleep(POLL_S)
    await asyncio.sleep(QUIET_S)
    return [
        await _line(there, wire, scene, ident, fault, at.get(ident))
        for (wire, scene), ident in zip(scenes, orders, strict=True)
    ]


def _settled(order: dict[str, Any] | None) -> bool:
    """Whether the daemon is there, knows what became of each attempt and has begun the next."""
    waits = ("queued", "sending")
    return order is not None and all(one["state"] not in waits for one in order["attempts"])


async def _line(
    there: OrderStage, wire: Wire, scene: str, ident: str, fault: str, on: float | None
) -> OrderLine:
    order = await there.order(ident)
    assert order is not None
    phone = there.wires["phone"]
    carried = [one for each in {wire.name: wire, "phone": phone}.values()
               for one in each.carried(scene, order)]  # fmt: skip
    wrong = unmarked(carried, order["attempts"])
    lost = phone.signed(scene, order) and not order["acknowledged"]
    told = [f"{a['channel']} {a['state']}{' repeat' if a['repeat'] else ''}"
            for a in order["attempts"]]  # fmt: skip
    return OrderLine(
        f"{wire.name} {scene}",
        fault,
        None if on is None else round(max(0.0, on), 1),
        int(lost),
        len(wrong),
        "; ".join([*wrong, *told]),
    )


# Faults


async def _killed(there: OrderStage) -> None:
    there.stage.world.daemon.kill()
    await asyncio.sleep(DOWN_S)


def _ami(mode: Mode) -> Callable[[OrderStage], Awaitable[None]]:
    async def strike(there: OrderStage) -> None:
        await there.stage.ami.be(mode)
        await asyncio.sleep(DOWN_S)

    return strike


def _smtp(mode: Mode) -> Callable[[OrderStage], Awaitable[None]]:
    async def strike(there: OrderStage) -> None:
        await there.smtp.be(mode)
        await asyncio.sleep(DOWN_S)

    return strike


def _disk(*, full: bool) -> Callable[[OrderStage], Awaitable[None]]:
    async def strike(there: OrderStage) -> None:
        there.stage.orders.give(full=full, failing=not full)
        await asyncio.sleep(DOWN_S)

    return strike


async def _ports(there: OrderStage) -> None:
    there.radio.owner.kill()
    await asyncio.sleep(DOWN_S)


async def _cable(there: OrderStage) -> None:
    there.radio.pty.pull()
    await asyncio.sleep(DOWN_S)


async def _modems(there: OrderStage) -> None:
    there.fax.pull()
    await asyncio.sleep(DOWN_S)


async def _asterisk(there: OrderStage) -> None:
    await there.stage.world.switch.kill()
    await asyncio.sleep(0.5)
    await there.stage.world.switch.start()
    await there.stage.register()


_STRIKES: Final[Mapping[OrderFault, Callable[[OrderStage], Awaitable[None]]]] = {
    OrderFault.KILLED: _killed,
    OrderFault.CUT: _ami("refuse"),
    OrderFault.HALF_OPEN: _ami("dead"),
    OrderFault.ASTERISK: _asterisk,
    OrderFault.FULL: _disk(full=True),
    OrderFault.FAILS: _disk(full=False),
    OrderFault.SMTP_DEAD: _smtp("refuse"),
    OrderFault.SMTP_HALF: _smtp("dead"),
    OrderFault.PORTS: _ports,
    OrderFault.CABLE: _cable,
    OrderFault.MODEMS: _modems,
}
