"""One decision about one order: it says facts, which take effect at once, and names effects.

Nothing here carries anything out. The order that is worked on is a copy; it becomes the record
when its facts are durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bridge.domain.crossing import crossed, sheet_of
from bridge.domain.delivery import A, ChannelKind, Job
from bridge.domain.journal import Fact, Json, iso
from bridge.domain.ladder import URGENT, To
from bridge.domain.order import Attempt, Order
from bridge.domain.order_book import OrderBook
from bridge.domain.unit import Unit


@dataclass(frozen=True, slots=True)
class Send:
    """Begin to carry an attempt."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Stop an attempt where that is still possible."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Look:
    """Find out what became of an attempt; `then` names the repeat where nothing is known."""

    attempt: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something for the seat and the shift leader; empty words: it is over."""

    name: str
    words: str


Effect = Send | Withdraw | Look | Alarm


@dataclass(frozen=True, slots=True)
class Centre:
    """What the ladder needs to know of its surroundings: units, wires there are, the centre."""

    units: Mapping[str, Unit]
    channels: frozenset[ChannelKind]
    name: str
    number: str
    local: Callable[[datetime], datetime]


@dataclass(slots=True)
class Work:
    """A decision being made. `actor` is who or what caused it."""

    order: Order
    centre: Centre
    now: datetime
    actor: str = "daemon"
    facts: list[Fact] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    def say(self, kind: str, subject: str | None = None, /, **data: Json) -> None:
        """One fact; the record moves with it at once."""
        order = self.order
        if not kind.startswith("order."):
            data = {"order": order.id, **data}
        fact = Fact(kind, self.now, order.case, None, subject or order.id, self.actor, data)
        self.facts.append(fact)
        book = OrderBook()
        book.orders[order.id] = order
        book.apply(fact)

    def do(self, effect: Effect) -> None:
        """One effect, to be carried out after the facts are durable."""
        self.effects.append(effect)

    def in_s(self, seconds: float) -> str:
        """That many seconds from now, as facts carry times."""
        return iso(self.now + timedelta(seconds=seconds))

    # Whom and how

    def unit(self, to: To = To.UNIT) -> Unit | None:
        """The unit that a step calls; None: there is none above, or it is gone from the list."""
        own = self.centre.units.get(self.order.unit)
        if to is not To.ABOVE or own is None:
            return own
        return self.centre.units.get(own.deputy or "")

    def ways(self, channel: ChannelKind, to: To) -> tuple[str, ...]:
        """Addresses for a step's channel; empty where the unit or we have no such wire."""
        unit = self.unit(to)
        if unit is None or channel not in self.centre.channels:
            return ()
        return unit.addresses(channel, To.LEADER if to is To.LEADER else To.UNIT)

    def queue(
        self,
        channel: ChannelKind,
        unit: Unit,
        addresses: tuple[str, ...],
        step: int,
        *,
        after: Attempt | None = None,
        number: int = 1,
        repeat: bool = False,
    ) -> None:
        """One more attempt: a fact with what crosses, then the effect that carries it."""
        order = self.order
        ident = f"{order.id}.{len(order.attempts) + 1}"
        sheet = self.sheet(unit, channel, repeat=repeat)
        names: list[Json] = [*crossed(sheet)]
        to: list[Json] = [*addresses]
        self.say(
            "attempt.queued",
            ident,
            channel=channel.value,
            unit=unit.id,
            addresses=to,
            round=order.round,
            step=step,
            number=number,
            repeat=repeat,
            crossed=names,
            after=after.id if after else None,
        )
        self.do(Send(ident))

    def sheet(self, unit: Unit, channel: ChannelKind, *, repeat: bool) -> Any:
        """The order as it may cross to that unit on that wire."""
        return sheet_of(
            self.order,
            unit,
            channel,
            centre=self.centre.name,
            centre_number=self.centre.number,
            repeat=repeat,
        )


def job_of(order: Order, attempt: Attempt, centre: Centre) -> Job | None:
    """What a channel is given for an attempt; None where its unit is no longer known."""
    unit = centre.units.get(attempt.unit)
    if unit is None:
        return None
    sheet = sheet_of(
        order,
        unit,
        attempt.channel,
        centre=centre.name,
        centre_number=centre.number,
        repeat=attempt.repeat,
    )
    return Job(
        attempt=attempt.id,
        channel=attempt.channel,
        sheet=sheet,
        addresses=attempt.addresses,
        number=attempt.number,
        urgent=order.klass == URGENT or bool(order.content.get("green")),
    )


def stop_all(work: Work, *, signed: str | None = None) -> None:
    """Tell every running attempt but `signed` to stop; what cannot be stopped ends by itself."""
    for attempt in work.order.running():
        if attempt.id == signed:
            continue
        if not attempt.stopping:
            work.say("attempt.stopping", attempt.id)
        work.do(Withdraw(attempt.id))
    if signed is not None and signed in work.order.attempts:
        attempt = work.order.attempts[signed]
        if attempt.state is not A.ACKNOWLEDGED:
            work.say("attempt.acknowledged", signed)
