"""What faxes over the switch need of it, as plain values and a Protocol."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from bridge.domain.fax import FaxSent


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxCall:
    """Our call with a document; its file lies in the spool under the attempt's name. `dial` is one
    channel, `caller` the number shown there."""

    attempt: str
    dial: str
    caller: str
    pages: int
    ring_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxSeen:
    """Something happened on such a call. `sent` says how a call that was answered ended; `cause`
    is Q.850; `learnt`: only afterwards."""

    attempt: str
    what: Literal["rang", "answered", "sent", "ended"]
    at: datetime
    sent: FaxSent | None = None
    cause: int = 0
    learnt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxPage:
    """How far a fax on a line has come. `name` is its file's: our attempt, or the id of a channel
    that came in. `page` is on the line, `done` pages are over; `bps` is 0 before it is agreed."""

    name: str
    sending: bool
    page: int
    done: int
    bps: int
    ecm: bool


class FaxLines(Protocol):
    """Fax calls, carried out by the switch. All raise ActRefused or ActUnknown."""

    async def call(self, call: FaxCall) -> None:
        """Begin to ring. What happens is seen afterwards."""
        ...

    async def hang_up(self, attempt: str) -> None:
        """End the call where it still is; nothing where it is not."""
        ...

    async def up(self) -> frozenset[str]:
        """Ids of all channels that are there, once everything earlier has been seen. A call of
        ours has its attempt's, with `PREFIX` before it."""
        ...


PREFIX = "fax-"
"""Before an attempt, in the id of its channel."""
