"""Our Class 2 and 2.0 driver with the emulated modem, every habit of firmware in turn."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from dataclasses import fields
from typing import Any, TypeVar

import pytest

from hardware.fax.class2 import Class2
from hardware.fax.class2_dialect import chosen_of, hang_up_cause, parse_parameters
from hardware.fax.model import Model
from hardware.fax.modem import make_modem, parse_classes, probe
from hardware.fax.modem_at import ModemFault
from hardware.fax.page import WIDTH, Page, page_of_lines
from hardware.fax.t4 import T4Decoder
from hardware.fax.t30 import Cause, Outcome, Result
from hardware.fax.t30_frames import Coding
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.fax.watch import unwatched
from hardware.rig.class2_far import FarMachine, Quirks
from hardware.rig.class2_modem import Class2Modem
from tests.hardware.fax.pages import plain_page, text_page

T = TypeVar("T")
CLASSES = ("2", "2.0")
PAGES = [text_page(1, 400), plain_page(2, 300)]


class _Wait:
    def __await__(self) -> Generator[None, None, None]:
        yield


class RigWire:
    """The serial line to the emulated modem, on a clock that jumps to the next thing due."""

    def __init__(self, modem: Class2Modem) -> None:
        self.modem = modem
        self.time = 0.0
        self.next = 0.0
        self._waiting = b""

    def now(self) -> float:
        return self.time

    async def write(self, data: bytes) -> None:
        self.modem.feed(data, self.time)

    async def read(self, seconds: float) -> bytes:
        until = self.time + seconds
        while True:
            if said := self.modem.take():
                return said
            if self.time >= until:
                return b""
            due = self.modem.deadline
            self.next = until if due is None else min(max(due, self.time), until)
            await _Wait()

    async def drop_dtr(self) -> None:
        return None


def run(wire: RigWire, work: Coroutine[Any, Any, T]) -> T:
    for _ in range(100_000):
        try:
            work.send(None)
        except StopIteration as done:
            result: T = done.value
            return result
        wire.time = max(wire.next, wire.time + 1e-6)
        wire.modem.tick(wire.time)
    raise AssertionError("no end")


def send(
    far: FarMachine,
    quirks: Quirks | None = None,
    fax_class: str = "2",
    model: Model | None = None,
    pages: list[Page] | None = None,
) -> tuple[Outcome, RigWire]:
    wire = RigWire(Class2Modem(far, quirks))
    driver = Class2(wire, model or Model(xon_wait_s=2.0), unwatched, fax_class)

    async def work() -> Outcome:
        await driver.initialise()
        return await driver.send("9,057112345", pages or PAGES, SenderSettings(identity="+8657"))

    return run(wire, work()), wire


def receive(
    far: FarMachine, quirks: Quirks | None = None, fax_class: str = "2", model: Model | None = None
) -> tuple[Outcome, list[Page], RigWire]:
    wire = RigWire(Class2Modem(far, quirks))
    driver = Class2(wire, model or Model(), unwatched, fax_class)

    async def work() -> tuple[Outcome, list[Page]]:
        await driver.initialise()
        wire.modem.ring(wire.time)
        assert await driver.wait_ring(10.0)
        outcome, pages = await driver.receive(ReceiverSettings(identity="12345"))
        return outcome, [page.page() for page in pages]

    return *run(wire, work()), wire


def pictures(octets: list[bytes]) -> list[Page]:
    """What the far machine prints of the data it took."""
    made = []
    for data in octets:
        decoder = T4Decoder(WIDTH, two_dimensional=False, max_lines=5000)
        decoder.feed(data + b"\0\0\x80")
        assert decoder.bad_lines == 0
        made.append(page_of_lines(decoder.lines, WIDTH, fine=True))
    return made


SWITCHES = [field.name for field in fields(Quirks) if field.name != "trigger"]


@pytest.mark.parametrize("quirk", ["none", *SWITCHES])
@pytest.mark.parametrize("fax_class", CLASSES)
def test_two_pages_sent_whatever_the_firmwares_habits(fax_class: str, quirk: str) -> None:
    far = FarMachine()
    quirks = Quirks() if quirk == "none" else Quirks(**{quirk: True})
    outcome, wire = send(far, quirks, fax_class)
    assert (outcome.result, outcome.cause, outcome.pages) == (Result.DELIVERED, Cause.DONE, 2)
    assert wire.modem.number == "9,057112345"
    assert outcome.far_id == "057188888888"
    assert pictures(far.received) == PAGES


@pytest.mark.parametrize("quirk", ["none", *SWITCHES])
@pytest.mark.parametrize("fax_class", CLASSES)
def test_two_pages_received_whatever_the_firmwares_habits(fax_class: str, quirk: str) -> None:
    far = FarMachine(documents=[page.coded(Coding.MH) for page in PAGES])
    quirks = Quirks() if quirk == "none" else Quirks(**{quirk: True})
    outcome, pages, _ = receive(far, quirks, fax_class)
    assert (outcome.result, outcome.pages, outcome.far_id) == (Result.DELIVERED, 2, far.identity)
    assert pages == PAGES


def test_the_octet_that_starts_a_page_is_the_models() -> None:
    far = FarMachine(documents=[PAGES[1].coded(Coding.MH)])
    outcome, pages, _ = receive(far, Quirks(trigger=0x12), model=Model(receive_trigger=0x12))
    assert (outcome.result, pages) == (Result.DELIVERED, [PAGES[1]])


@pytest.mark.parametrize("fax_class", CLASSES)
def test_a_refused_page_is_sent_again_and_a_third_refusal_ends_the_call(fax_class: str) -> None:
    far = FarMachine(statuses=[2, 1, 1])
    outcome, _ = send(far, fax_class=fax_class)
    assert (outcome.result, outcome.pages) == (Result.DELIVERED, 2)
    assert (len(far.refused), pictures(far.received)) == (1, PAGES)
    far = FarMachine(statuses=[1, 2, 2, 2])
    outcome, _ = send(far, fax_class=fax_class)
    assert (outcome.result, outcome.cause, outcome.pages) == (
        Result.NOT_DELIVERED, Cause.REJECTED, 1,
    )  # fmt: skip
    assert outcome.may_have_copies


@pytest.mark.parametrize("fax_class", CLASSES)
@pytest.mark.parametrize("no_carrier", [False, True])
@pytest.mark.parametrize(
    ("where", "code", "result"),
    [("train", 27, Result.NOT_DELIVERED), ("status", 54, Result.UNCONFIRMED),
     ("page", 50, Result.UNCONFIRMED)],
)  # fmt: skip
def test_a_call_that_ends_early_is_never_called_delivered(
    where: str, code: int, result: Result, no_carrier: bool, fax_class: str
) -> None:
    far = FarMachine(hang_up_at={where: code})
    quirks = Quirks(no_carrier=no_carrier)
    outcome, _ = send(far, quirks, fax_class, pages=[PAGES[1]])
    assert (outcome.result, outcome.pages, far.received) == (result, 0, [])
    if not no_carrier:
        assert outcome.cause is hang_up_cause(code)[0]


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("busy", Cause.BUSY), ("no answer", Cause.NO_ANSWER), ("no dial tone", Cause.NO_DIALTONE),
     ("voice", Cause.NO_FAX), ("blocked", Cause.NUMBER_BLOCKED)],
)  # fmt: skip
def test_calls_that_are_not_answered_by_a_fax(kind: Any, cause: Cause) -> None:
    outcome, _ = send(FarMachine(kind=kind))
    assert (outcome.result, outcome.cause) == (Result.NOT_DELIVERED, cause)
    assert not outcome.may_have_copies


def test_a_far_machine_without_fine_resolution_gets_a_coarse_page() -> None:
    far = FarMachine(fine=False, max_bps=9600)
    outcome, _ = send(far, pages=[PAGES[0]])
    assert outcome.result is Result.DELIVERED
    assert outcome.chosen is not None
    assert (outcome.chosen.fine, outcome.chosen.rate.bps) == (False, 9600)
    (picture,) = pictures(far.received)
    assert picture.rows == PAGES[0].coarse().rows


@pytest.mark.parametrize("fax_class", CLASSES)
def test_a_received_page_cut_short_is_not_complete(fax_class: str) -> None:
    documents = [page.coded(Coding.MH) for page in PAGES]
    far = FarMachine(documents=documents, hang_up_at={"page": 90})
    outcome, pages, _ = receive(far, fax_class=fax_class)
    assert outcome.result is Result.NOT_DELIVERED
    assert len(pages) <= 1


def test_a_modem_is_asked_what_it_is() -> None:
    wire = RigWire(Class2Modem(FarMachine()))
    known = run(wire, probe(wire))
    assert (known.fax_class, known.rates) == ("2.0", ())
    assert "RIG" in known.about
    assert isinstance(make_modem(wire, known, unwatched), Class2)
    assert parse_classes(" (0,1,2.0) ") == ("0", "1", "2.0")


def test_a_device_that_says_nothing_is_no_modem() -> None:
    class Mute(Class2Modem):
        def feed(self, data: bytes, now: float) -> None:
            self.tick(now)

    wire = RigWire(Mute(FarMachine()))
    with pytest.raises(ModemFault):
        run(wire, probe(wire))


def test_reports_of_any_shape_are_settings() -> None:
    assert chosen_of("1,5,0,2,0,0,0,0").rate.bps == 14400
    assert chosen_of("").rate.bps == 2400
    assert chosen_of("x,,9999,-1").coding is Coding.MH
    assert parse_parameters("1,,a") == [1, None, None]
    assert {hang_up_cause(code)[0] for code in range(256)} >= {Cause.NO_FAX, Cause.REJECTED}
