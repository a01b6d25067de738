"""One interface for modems of every class, and which class to use with a modem."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hardware.fax.class1 import Class1
from hardware.fax.class2 import Class2
from hardware.fax.model import Model, model_of
from hardware.fax.modem_at import ModemAt, ModemFault
from hardware.fax.page import Page
from hardware.fax.rates import ALL_RATES, Rate
from hardware.fax.received import Keep, ReceivedPage, keep_nothing
from hardware.fax.t30 import Outcome, PageConfirmed, Report
from hardware.fax.t30_receiver import Receiver
from hardware.fax.t30_sender import Sender
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.fax.watch import FrameSeen, Watch
from hardware.fax.wire import ModemWire

PREFERRED: Final = ("1", "2.0", "2.1", "2")
"""Class 1 first: then T.30 is ours, and can be mended here."""
Received = tuple[Outcome, tuple[ReceivedPage, ...]]


class FaxModem(Protocol):
    """A modem that can be used whatever its class. One call at a time."""

    async def initialise(self) -> None:
        """From whatever state to ready. Raises ModemFault, WireGone."""
        ...

    async def send(self, number: str, pages: Sequence[Page], settings: SenderSettings) -> Outcome:
        """Call and send. Raises ValueError for what is no number, PageError for no page."""
        ...

    async def receive(self, settings: ReceiverSettings, keep: Keep = keep_nothing) -> Received:
        """Answer the ringing call."""
        ...

    async def wait_ring(self, seconds: float) -> bool:
        """Whether a call came in within so many seconds. Raises WireGone."""
        ...

    def cancel(self) -> None:
        """End the call under way."""
        ...


class Class1Modem(Class1):
    """Class 1 with our T.30."""

    def __init__(self, wire: ModemWire, model: Model, watch: Watch, rates: Sequence[Rate]) -> None:
        super().__init__(wire, model, watch)
        self._rates = tuple(rates)

    async def send(self, number: str, pages: Sequence[Page], settings: SenderSettings) -> Outcome:
        """Call and send."""
        able = tuple(rate for rate in settings.rates if rate in self._rates)
        return await self.dial(number, Sender(pages, settings.with_rates(able)))

    async def receive(self, settings: ReceiverSettings, keep: Keep = keep_nothing) -> Received:
        """Answer and receive. A page that cannot be kept ends the call before its MCF."""
        able = tuple(rate for rate in settings.rates if rate in self._rates)
        receiver = Receiver(settings.with_rates(able))
        usual = self._watch

        def watch(item: Report | FrameSeen) -> None:
            if isinstance(item, PageConfirmed):
                try:
                    keep(receiver.pages[item.page - 1], receiver.far_id)
                except OSError:
                    self.cancel()
            usual(item)

        self._watch = watch
        try:
            return await self.answer(receiver), receiver.pages
        finally:
            self._watch = usual


@dataclass(frozen=True, slots=True)
class Probe:
    """What a modem says of itself."""

    about: str
    classes: tuple[str, ...]
    """Of its +FCLASS=?, as numbers: `0`, `1`, `1.0`, `2`, `2.0`, `2.1`."""
    rates: tuple[Rate, ...]
    """What it both sends and receives in Class 1."""
    model: Model

    @property
    def fax_class(self) -> str:
        """The one to use; empty for a modem without fax."""
        return next((name for name in PREFERRED if name in self.classes), "")


async def probe(wire: ModemWire, model: Model | None = None) -> Probe:
    """Ask the modem what it is. Raises ModemFault when nothing there answers AT."""
    asking = ModemAt(wire, Model())
    await asking.resynchronise()
    await asking.ask("ATE0V1Q0")
    about = " ".join([await asking.ask("ATI"), await asking.ask("ATI3")]).strip()
    classes = parse_classes(await asking.ask("AT+FCLASS=?"))
    rates: tuple[Rate, ...] = ()
    if "1" in classes:
        await asking.ask("AT+FCLASS=1")
        sends = _numbers(await asking.ask("AT+FTM=?"))
        takes = _numbers(await asking.ask("AT+FRM=?"))
        rates = tuple(rate for rate in ALL_RATES if rate.training in sends & takes)
        await asking.ask("AT+FCLASS=0")
    chosen = model or model_of(about)
    limited = tuple(rate for rate in rates if rate.training in chosen.rates)
    return Probe(about, classes, limited, chosen)


def parse_classes(answer: str) -> tuple[str, ...]:
    """`0,1,2,2.0` out of whatever brackets and blanks a modem puts around it."""
    return tuple(re.findall(r"\d(?:\.\d)?", answer))


def _numbers(answer: str) -> set[int]:
    """Modulation numbers, ranges included."""
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", answer):
        found |= set(range(int(first), min(int(last or first), 200) + 1))
    return found


def make_modem(wire: ModemWire, known: Probe, watch: Watch) -> FaxModem:
    """The driver for what was probed. Raises ModemFault for a modem without fax."""
    if known.fax_class == "1":
        return Class1Modem(wire, known.model, watch, known.rates)
    if known.fax_class:
        return Class2(wire, known.model, watch, known.fax_class)
    raise ModemFault(f"不支持传真 / no fax modem: +FCLASS=? says {known.classes}")
