"""Who gives orders and speaks of them at the centre: drawn from the seed, asked until it is known.

Every request is repeated with its key until its answer is durable, or until it was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from bridge.domain.delivery import Says
from bridge.domain.errors import Refused
from bridge.domain.ladder import URGENT
from bridge.domain.order_state import O
from bridge.flows.order_desk import Asker, OrderAsk, OrderDesk
from bridge.flows.ports import StoreError
from tests.simulation.loop import in_life

if TYPE_CHECKING:
    from tests.simulation.orders import OrderWorld

CASE = "20260202-0001"
SEAT = Asker("s", "8001")
GIVEN = (
    ("water", "notice"),
    ("roads", "notice"),
    ("water", "notice"),
    ("roads", "notice"),
    ("bank", "site"),
)
"""Orders of a run: unit and kind. A site order to a tier-3 unit waits for its confirmation."""
AGAIN = 5.0
"""Seconds after which a request without an answer is made again."""

Request = Callable[[OrderDesk], Coroutine[Any, Any, object]]


ACTS = ("sign", "arrived", "progress", "dispute", "result", "remind", "cancel")


class Office:
    """Gives the orders of a run and acts upon them."""

    def __init__(self, world: OrderWorld) -> None:
        self._world = world
        self.signed: set[str] = set()
        """Orders that a person signed for at the desk."""
        self._keys = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number, (unit, kind) in enumerate(GIVEN):
                group.create_task(self._give(number, unit, kind))
            for number in range(len(GIVEN)):
                group.create_task(self._act(str(number)))

    async def _give(self, number: int, unit: str, kind: str) -> None:
        await asyncio.sleep(self._world.chance.random.random() * 60)
        ask = OrderAsk(case=CASE, units=(unit,), kind=kind, klass=URGENT, words=str(number))
        await self._until_known(f"key-{number}", lambda desk: desk.send(SEAT, ask, f"key-{number}"))

    async def _act(self, words: str) -> None:
        """A draft is confirmed; then up to three things are said of the order."""
        draw = self._world.chance.random
        while (order := self._world.order(words)) is None:
            await asyncio.sleep(AGAIN)
        ident = order.id
        if order.state is O.DRAFT:
            await asyncio.sleep(draw.random() * 60)
            key = self._key()
            await self._until_known(key, lambda desk: desk.confirm(SEAT, ident, key))
        for _ in range(draw.choice((0, 0, 0, 0, 1, 2, 3))):
            await asyncio.sleep(20 + draw.random() * 80)
            await self._say(ident, draw.choice(ACTS))

    async def _say(self, ident: str, what: str) -> None:
        key = self._key()

        def request(desk: OrderDesk) -> Coroutine[Any, Any, object]:
            if what == "remind":
                return desk.remind(SEAT, ident, key)
            if what == "cancel":
                return desk.cancel(SEAT, ident, "误报", key)
            return desk.on_behalf(SEAT, ident, _SAYS[what], "张", key, words="已知")

        if await self._until_known(key, request) and what in _SAYS:
            self.signed.add(ident)

    def _key(self) -> str:
        self._keys += 1
        return f"act-{self._keys}"

    async def _until_known(self, key: str, request: Request) -> bool:
        """Whether it was done; False where it was refused."""
        world = self._world
        while key not in world.disk.synced.answers:
            life = world.life
            if life is not None and life.desk is not None:
                refused = asyncio.get_running_loop().create_future()
                work = _ask(request(life.desk), refused)
                world.loop.create_task(work, context=in_life(life.number))
                await asyncio.wait([refused], timeout=AGAIN)
                if refused.done() and refused.result():
                    return key in world.disk.synced.answers
            await asyncio.sleep(AGAIN)
        return True


async def _ask(work: Coroutine[Any, Any, object], refused: asyncio.Future[bool]) -> None:
    """Tells whether it was refused for good."""
    try:
        await work
        final = False
    except Refused as error:
        final = error.code not in _OPEN_REFUSALS
    except StoreError:
        final = False
    if not refused.done():
        refused.set_result(final)


_SAYS = {
    "sign": Says.SIGN,
    "arrived": Says.ARRIVED,
    "progress": Says.PROGRESS,
    "dispute": Says.DISPUTE,
    "result": Says.RESULT,
}
_OPEN_REFUSALS = frozenset({"store-cannot-write", "outcome-unknown", "no-such-order"})
