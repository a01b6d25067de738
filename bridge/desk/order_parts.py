"""What the doors of orders share: the flows behind them, and who is of which unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.desk.tokens import Grant
from bridge.domain.errors import Refused
from bridge.domain.journal import Json
from bridge.domain.order import Order
from bridge.flows.order_desk import OrderDesk
from bridge.flows.order_inbox import Inbox
from bridge.flows.orders import Orders
from bridge.flows.ports import Row
from bridge.flows.terminals import Terminals
from bridge.flows.unit_checks import UnitChecks


class OrderReads(Protocol):
    """Stored orders, for lists."""

    async def orders(
        self, *, state: str | None = None, before: str | None = None, limit: int = 0
    ) -> Sequence[Row]: ...

    async def orders_of_case(self, case: str) -> Sequence[Row]: ...


class Marks(Protocol):
    """What a terminal says of a pushed order."""

    async def received(self, attempt: str, unit: str) -> None: ...

    async def read(self, attempt: str, unit: str) -> None: ...


@dataclass(frozen=True, slots=True)
class OrderParts:
    """Orders as the desk's routes use them. `ack_keys` may have signed links in mails."""

    orders: Orders
    inbox: Inbox
    desk: OrderDesk
    checks: UnitChecks
    terminals: Terminals
    marks: Marks
    reads: OrderReads
    ack_keys: tuple[bytes, ...] = ()

    def unit_of(self, grant: Grant) -> str | None:
        """The unit whose sign-in this is, or None."""
        if grant.role != "U":
            return None
        users = ((unit.id, unit.users) for unit in self.orders.units.values())
        return next((unit for unit, names in users if grant.name in names), None)

    def theirs(self, order: Order, unit: str) -> bool:
        """Whether that unit was given this order, or is the next contact it was brought to."""
        if order.round == 0:
            return False
        return order.unit == unit or any(a.unit == unit for a in order.attempts.values())

    async def order(self, ident: str) -> Order:
        """Raises Refused("no-such-order")."""
        found = await self.orders.find(ident)
        if found is None:
            raise Refused("no-such-order")
        return found


def order_line(doc: Mapping[str, Json], ident: str, state: str) -> dict[str, Json]:
    """A stored order as lists show it."""
    content = doc.get("content")
    assert isinstance(content, dict)
    names = ("kind", "klass", "unit_name", "place", "words", "category", "drill", "green")
    signed = doc.get("acknowledged")
    return {
        "order": ident,
        "case": doc["case"],
        "unit": doc["unit"],
        "state": state,
        "created_at": doc["created_at"],
        "acknowledged_by": signed.get("by") if isinstance(signed, dict) else None,
        "disputed": doc["disputed"],
        "confirmation_asked": doc["confirmation_asked"],
        **{name: content.get(name) for name in names},
    }


def first_receiver(docs: Sequence[Mapping[str, Json]]) -> str | None:
    """The unit that an order of the case was first proven to have reached (首接负责, LL-32): it
    remains responsible. None while none has. A clock's start is the proof of receipt (AMB-01)."""
    reached: list[tuple[str, str]] = []
    for doc in docs:
        clocks = doc.get("clocks")
        for clock in clocks.values() if isinstance(clocks, dict) else ():
            if isinstance(clock, dict):
                reached.append((str(clock["started_at"]), str(doc["unit"])))
    return min(reached)[1] if reached else None
