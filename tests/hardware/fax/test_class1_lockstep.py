"""Our Class 1 driver over spandsp's T.31 modem to spandsp's fax terminal, without real time.

The terminal is an independent implementation of T.30: what it has written to its file is held
against what our side says of the call.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hardware.fax.class1 import Class1
from hardware.fax.model import Model
from hardware.fax.modem import Class1Modem
from hardware.fax.page import Page, PageError, read_tiff, write_tiff
from hardware.fax.rates import (
    ALL_RATES,
    FALL_BACK,
    V17_12000,
    V17_14400,
    V27TER_2400,
    V27TER_4800,
    V29_7200,
    V29_9600,
    Rate,
)
from hardware.fax.received import ReceivedPage
from hardware.fax.t30 import Cause, Outcome, Report, Result, Session
from hardware.fax.t30_frames import Coding
from hardware.fax.t30_receiver import Receiver
from hardware.fax.t30_sender import Sender
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.fax.watch import FrameSeen
from tests.hardware.fax.lockstep import PhoneLine, driver
from tests.hardware.fax.pages import noisy_page, plain_page, text_page
from tests.hardware.fax.spandsp import T6, V17, V27TER, V29, Noise, Samples, Terminal, library

CUTS = 200
ONE, TWO = plain_page(1, 800), plain_page(2, 600)
IDENTITY = "+86571110"


@pytest.fixture(scope="session")
def lib() -> ctypes.CDLL:
    return library()


class Desk:
    """Makes lines for one test and gives them back at its end."""

    def __init__(self, lib: ctypes.CDLL, directory: Path) -> None:
        self.lib = lib
        self.file = directory / "page.tif"
        self.lines: list[PhoneLine] = []

    def terminal(
        self, document: list[Page] | None = None, **settings: int | str | bool
    ) -> Terminal:
        """A far machine that receives into `file`, or sends the document."""
        self.file.unlink(missing_ok=True)
        if document is None:
            return Terminal(self.lib, calling=False, into=self.file, **settings)  # type: ignore[arg-type]
        self.file.write_bytes(write_tiff(document))
        return Terminal(self.lib, calling=True, document=self.file, **settings)  # type: ignore[arg-type]

    def line(self, terminal: Terminal | None, **settings: object) -> PhoneLine:
        line = PhoneLine(self.lib, terminal, **settings)  # type: ignore[arg-type]
        self.lines.append(line)
        return line

    def held(self) -> list[Page]:
        """The pages that the far machine has written."""
        if not self.file.exists() or not self.file.stat().st_size:
            return []
        try:
            return list(read_tiff(self.file))
        except PageError:
            return []


@pytest.fixture
def desk(lib: ctypes.CDLL, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(lib, tmp_path)
    yield made
    for line in made.lines:
        line.close()


def send(line: PhoneLine, session: Sender, number: str = "800") -> Outcome:
    modem, _ = driver(line)
    return line.run(dialled(modem, session, number))


async def dialled(modem: Class1, session: Session, number: str = "800") -> Outcome:
    await modem.initialise()
    return await modem.dial(number, session)


async def answered(line: PhoneLine, modem: Class1, session: Session) -> Outcome:
    await modem.initialise()
    line.ring()
    assert await modem.wait_ring(10.0)
    return await modem.answer(session)


def receive(line: PhoneLine, session: Receiver) -> Outcome:
    modem, _ = driver(line)
    return line.run(answered(line, modem, session))


@pytest.mark.parametrize("ecm", [True, False])
def test_two_pages_arrive_pixel_for_pixel(desk: Desk, ecm: bool) -> None:
    pages = [text_page(1, 1200), text_page(2, 700)]
    line = desk.line(desk.terminal(ecm=ecm))
    outcome = send(line, Sender(pages, SenderSettings(identity=IDENTITY)))
    assert line.terminal is not None
    assert line.terminal.far_id == IDENTITY
    assert (outcome.result, outcome.far_id) == (Result.DELIVERED, "057188888888")
    assert outcome.chosen is not None
    assert outcome.chosen.coding is (Coding.MMR if ecm else Coding.MH)
    assert desk.held() == pages


@pytest.mark.parametrize("compressions", [T6, 0])
def test_a_page_of_several_blocks(desk: Desk, compressions: int) -> None:
    page = noisy_page(1, 330)
    line = desk.line(desk.terminal(compressions=2 | 4 | compressions))
    outcome = send(line, Sender([page], SenderSettings()))
    assert outcome.result is Result.DELIVERED
    assert desk.held() == [page]


@pytest.mark.parametrize("ecm", [True, False])
@pytest.mark.parametrize("rate", FALL_BACK)
def test_every_speed_sent(desk: Desk, rate: Rate, ecm: bool) -> None:
    line = desk.line(desk.terminal(ecm=ecm))
    outcome = send(line, Sender([TWO], SenderSettings(rates=(rate,))))
    assert outcome.result is Result.DELIVERED
    assert outcome.chosen is not None
    assert outcome.chosen.rate == rate
    assert desk.held() == [TWO]


@pytest.mark.parametrize(
    ("modems", "rate"), [(V17 | V29 | V27TER, V17_14400), (V29 | V27TER, V29_9600),
                         (V27TER, V27TER_4800)]
)  # fmt: skip
@pytest.mark.parametrize("ecm", [True, False])
def test_every_modulation_received(desk: Desk, modems: int, rate: Rate, ecm: bool) -> None:
    pages = [text_page(3, 600), TWO]
    receiver = Receiver(ReceiverSettings(identity=IDENTITY))
    line = desk.line(desk.terminal(pages, modems=modems, ecm=ecm))
    outcome = receive(line, receiver)
    assert outcome.result is Result.DELIVERED
    assert outcome.chosen is not None
    assert outcome.chosen.rate == rate
    assert outcome.far_id == "057188888888"
    assert [page.page() for page in receiver.pages] == pages
    assert line.terminal is not None
    assert line.terminal.result == 0


@pytest.mark.parametrize("rates", [(V17_12000,), (V29_7200,), (V27TER_2400,)])
def test_a_receiver_of_few_speeds_refuses_the_others(desk: Desk, rates: tuple[Rate, ...]) -> None:
    receiver = Receiver(ReceiverSettings(rates=rates))
    outcome = receive(desk.line(desk.terminal([TWO])), receiver)
    assert outcome.chosen is None or outcome.chosen.rate in rates
    if outcome.result is Result.DELIVERED:
        assert [page.page() for page in receiver.pages] == [TWO]


@pytest.mark.parametrize("level", [-45.0, -38.0, -32.0, -26.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_under_noise_a_page_under_ecm_is_whole_or_not_confirmed(
    desk: Desk, lib: ctypes.CDLL, level: float, seed: int
) -> None:
    line = desk.line(desk.terminal(), noise=Noise(lib, seed, level))
    outcome = send(line, Sender([ONE, TWO], SenderSettings()))
    check_truth(outcome, [ONE, TWO], desk.held())
    if level <= -38:
        assert outcome.result is Result.DELIVERED


def bursts(times: list[float]) -> Callable[[float, Samples], None]:
    """Crackle of 20 ms at these times after the answer."""
    chance = random.Random(7)

    def spoil(since: float, samples: Samples) -> None:
        if any(at <= since < at + 0.02 for at in times):
            for n in range(len(samples)):
                samples[n] = chance.randint(-4000, 4000)

    return spoil


def test_crackle_is_mended_frame_by_frame(desk: Desk) -> None:
    page = text_page(4, 1000)
    line = desk.line(desk.terminal(), spoil=bursts([14.5, 16.0, 18.0]))
    modem, seen = driver(line)
    outcome = line.run(dialled(modem, Sender([page], SenderSettings())))
    names = [item.frame.name for item in seen if isinstance(item, FrameSeen)]
    assert "PPR" in names
    assert outcome.result is Result.DELIVERED
    assert desk.held() == [page]


def test_a_receiver_that_needs_time_is_waited_for(desk: Desk) -> None:
    line = desk.line(desk.terminal(not_ready=3))
    modem, seen = driver(line)
    outcome = line.run(dialled(modem, Sender([TWO], SenderSettings())))
    names = [item.frame.name for item in seen if isinstance(item, FrameSeen)]
    assert names.count("RNR") == 3
    assert outcome.result is Result.DELIVERED


def check_truth(outcome: Outcome, pages: list[Page], held: list[Page]) -> None:
    """What our side says, against the far machine's file."""
    assert held[: outcome.pages] == pages[: outcome.pages]
    if outcome.result is Result.DELIVERED:
        assert held == pages
    if not outcome.may_have_copies:
        assert len(held) <= outcome.pages


@pytest.mark.parametrize("ecm", [True, False])
def test_a_call_cut_at_any_time_ends_with_the_truth(desk: Desk, ecm: bool) -> None:
    chance = random.Random(110 + ecm)
    results = set()
    for _ in range(CUTS // 2):
        cut_at = chance.uniform(0.1, 32.0 if ecm else 36.0)
        line = desk.line(desk.terminal(ecm=ecm), cut_at=cut_at)
        outcome = send(line, Sender([ONE, TWO], SenderSettings()))
        check_truth(outcome, [ONE, TWO], desk.held())
        results.add(outcome.result)
        assert line.now < cut_at + 30.0, "a cut call is noticed"
    assert {Result.NOT_DELIVERED, Result.DELIVERED} <= results


def test_a_received_call_cut_at_any_time_keeps_only_whole_pages(desk: Desk) -> None:
    chance = random.Random(12345)
    for ecm in [True, False] * 20:
        cut_at = chance.uniform(0.1, 32.0)
        receiver = Receiver(ReceiverSettings())
        line = desk.line(desk.terminal([ONE, TWO], ecm=ecm), cut_at=cut_at)
        outcome = receive(line, receiver)
        confirmed = [page.page() for page in receiver.pages if page.confirmed]
        assert confirmed == [ONE, TWO][: outcome.pages]
        assert (outcome.result is Result.DELIVERED) == (outcome.pages == 2)


@pytest.mark.parametrize("silent_from", [1.0, 5.5, 9.0, 12.0])
def test_a_far_end_that_falls_silent_ends_the_call(desk: Desk, silent_from: float) -> None:
    line = desk.line(desk.terminal(), silent_from=silent_from)
    outcome = send(line, Sender([ONE], SenderSettings()))
    check_truth(outcome, [ONE], desk.held())
    unknown = silent_from == 12.0  # the page was sent, its confirmation was not heard
    assert outcome.result is (Result.UNCONFIRMED if unknown else Result.NOT_DELIVERED)
    assert line.now < 80.0


@pytest.mark.parametrize(
    ("settings", "cause"), [({"busy": True}, Cause.BUSY), ({"nobody": True}, Cause.NO_ANSWER)]
)
def test_calls_that_are_not_answered(desk: Desk, settings: dict[str, bool], cause: Cause) -> None:
    line = desk.line(None, **settings)
    outcome = send(line, Sender([ONE], SenderSettings()), "1,057112345")
    assert line.dialled == "1,057112345"
    assert (outcome.result, outcome.cause) == (Result.NOT_DELIVERED, cause)
    assert not outcome.may_have_copies


def test_a_person_answers(desk: Desk) -> None:
    outcome = send(desk.line(None), Sender([ONE], SenderSettings()))
    assert (outcome.cause, outcome.may_have_copies) == (Cause.NO_FAX, False)


def test_only_a_number_is_dialled(desk: Desk) -> None:
    for number in ("", "800;ATH", "12345678901234567890123456789012345678901", "8 0", "８００"):
        with pytest.raises(ValueError, match="can be dialled"):
            send(desk.line(None), Sender([ONE], SenderSettings()), number)


@pytest.mark.parametrize("when", [2.0, 4.5, 9.0, 13.0, 18.5])
def test_a_cancelled_call_ends_soon_and_says_what_became_of_it(desk: Desk, when: float) -> None:
    pages = [text_page(1, 1200)]
    line = desk.line(desk.terminal())
    modem, _ = driver(line)
    tick = line.tick

    def tick_and_cancel() -> None:
        tick()
        if when <= line.now < when + 0.02:
            modem.cancel()

    line.tick = tick_and_cancel  # type: ignore[method-assign]
    outcome = line.run(dialled(modem, Sender(pages, SenderSettings())))
    assert outcome.cause is Cause.CANCELLED
    assert line.now < when + 10.0
    check_truth(outcome, pages, desk.held())
    again = desk.line(desk.terminal())
    assert send(again, Sender([TWO], SenderSettings())).result is Result.DELIVERED


@pytest.mark.parametrize("delay", [0.0, 0.04, 0.08])
def test_a_host_that_is_late_by_less_than_the_deadline_still_receives(
    desk: Desk, delay: float
) -> None:
    receiver = Receiver(ReceiverSettings())
    line = desk.line(desk.terminal([TWO]))
    line.wire.delay = delay
    assert receive(line, receiver).result is Result.DELIVERED


def test_the_same_modem_takes_one_call_after_another(desk: Desk) -> None:
    line = desk.line(desk.terminal())
    modem, _ = driver(line)
    first = line.run(dialled(modem, Sender([TWO], SenderSettings())))
    assert first.result is Result.DELIVERED
    assert line.run(ready_again(modem)).result is Result.NOT_DELIVERED


async def ready_again(modem: Class1) -> Outcome:
    """The far end is gone by now; the modem takes commands."""
    return await modem.dial("801", Sender([TWO], SenderSettings()))


@pytest.mark.parametrize("ecm", [True, False])
def test_a_page_that_cannot_be_kept_is_never_confirmed(desk: Desk, ecm: bool) -> None:
    line = desk.line(desk.terminal([ONE, TWO], ecm=ecm))
    seen: list[Report | FrameSeen] = []
    modem = Class1Modem(line.wire, Model(init=("ATE0V1Q0",)), seen.append, ALL_RATES)
    kept: list[Page] = []

    def keep(page: ReceivedPage, source: str) -> None:
        if kept:
            raise OSError("no space left")
        kept.append(page.page())

    async def call() -> Outcome:
        await modem.initialise()
        line.ring()
        assert await modem.wait_ring(10.0)
        outcome, _ = await modem.receive(ReceiverSettings(), keep)
        return outcome

    line.run(call())
    names = [item.frame.name for item in seen if isinstance(item, FrameSeen) and item.sent]
    assert kept == [ONE]
    assert names.count("MCF") == 1, "only the page that is kept"
    assert names[-1] == "DCN"
    assert line.terminal is not None
    assert line.terminal.result != 0
