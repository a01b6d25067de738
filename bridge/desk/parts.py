"""What the doors of the desk share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from bridge.desk.commands import Commands
from bridge.desk.order_parts import OrderParts
from bridge.desk.tokens import Rates, Tokens
from bridge.domain.acts import Target
from bridge.domain.journal import Json
from bridge.flows.case_desk import CaseDesk
from bridge.flows.ports import Files
from bridge.flows.view import View

UPLOADS = 8
"""Bodies with files that are read at a time; others wait their turn."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Read model, services, rights. `seats` and `targets` are looked at anew each time."""

    view: View
    commands: Commands
    tokens: Tokens
    rates: Rates
    seats: Collection[str]
    targets: Mapping[str, Target]
    health: Callable[[], dict[str, Json]]
    cases: CaseDesk
    files: Files
    orders: OrderParts | None = None
    """None: this desk gives no orders."""
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS))
