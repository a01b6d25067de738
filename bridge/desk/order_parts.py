"""What the doors of orders share: the flows behind them, and who is of which unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from bridge.desk.tokens import Grant
from bridge.domain.case_orders import complete, first_receiver, handed_on, responsible
from bridge.domain.errors import Refused
from bridge.domain.journal import Json
from bridge.domain.order import Order, missing_reports
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

    async def orders_between(
        self, since: datetime, until: datetime, after: str | None = None, limit: int = 0
    ) -> Sequence[Row]: ...


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
    reports: Any = doc["reports"]
    arrivals = [bool(one["incomplete"]) for one in reports if one["says"] == "arrived"]
    lacks: list[Json] = [*missing_reports(state, bool(content["arrival_limit_s"]), arrivals)]
    return {
        "order": ident,
        "case": doc["case"],
        "unit": doc["unit"],
        "state": state,
        "created_at": doc["created_at"],
        "acknowledged_by": signed.get("by") if isinstance(signed, dict) else None,
        "disputed": doc["disputed"],
        "confirmation_asked": doc["confirmation_asked"],
        "missing": lacks,
        **{name: content.get(name) for name in names},
    }


def orders_of_case(rows: Sequence[Row]) -> dict[str, Json]:
    """The orders of one case, who is responsible, and what was passed on (LL-32, LL-33)."""
    docs = [row.doc for row in rows]
    lines: list[Json] = [order_line(row.doc, row.id, row.state) for row in rows]
    onward: list[Json] = [*handed_on([(row.id, row.state, row.doc) for row in rows])]
    return {
        "orders": lines,
        "first_receiver": first_receiver(docs),
        "responsible": responsible(docs),
        "onward": onward,
        "complete": complete(docs),
    }
