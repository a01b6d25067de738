"""Our sender against our receiver over a line in virtual time: every ending is a true one."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardware.fax.page import WIDTH, Page
from hardware.fax.rates import FALL_BACK, V17_14400, V27TER_2400, V29_9600, Rate
from hardware.fax.t30 import PageAgain, Result
from hardware.fax.t30_frames import Coding
from hardware.fax.t30_receiver import Receiver
from hardware.fax.t30_sender import Sender
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from tests.hardware.fax.air import Air, Fault
from tests.hardware.fax.pages import noisy_page, plain_page

NONE, LOST, DAMAGED = Fault.NONE, Fault.LOST, Fault.DAMAGED
TSI_TO_CFR = [NONE] * 6
"""CSI, DIS, TSI, DCS, training check, CFR: then the page."""
DOCUMENTS = {
    "ecm": ([plain_page(1), plain_page(2)], True),
    "blocks": ([noisy_page(3, 330)], True),
    "resolutions": ([plain_page(4), plain_page(5, 1143, fine=False)], True),
    "without ecm": ([plain_page(6), plain_page(7)], False),
}


def stations(pages: list[Page], ecm: bool = True) -> tuple[Sender, Receiver]:
    return (
        Sender(pages, SenderSettings(identity="+86571110", ecm=ecm)),
        Receiver(ReceiverSettings(identity="057112345")),
    )


def call(pages: list[Page], ecm: bool = True, faults: list[Fault] | None = None) -> Air:
    sender, receiver = stations(pages, ecm)
    air = Air(faults or [])
    air.call(sender, receiver)
    assert isinstance(sender, Sender)
    check_truth(pages, sender, receiver, ecm)
    assert sender.outcome is not None
    assert sender.outcome.result is Result.DELIVERED
    assert [page.page() for page in receiver.pages if page.confirmed] == pages
    return air


def same(sent: Page, held: Page, ecm: bool) -> bool:
    """Under ECM pel for pel; without it what T.30 lets pass: a few lines damaged or missing."""
    if ecm:
        return sent == held
    marks = 12 * WIDTH // 8
    missing = abs(sent.height - held.height)
    return sent.rows[:marks] == held.rows[:marks] and missing <= 0.05 * sent.height


def check_truth(pages: list[Page], sender: Sender, receiver: Receiver, ecm: bool = True) -> None:
    """What the sender says, against what the far terminal holds."""
    said, held = sender.outcome, [page.page() for page in receiver.pages if page.confirmed]
    assert said is not None
    later = iter(held)
    for sent in pages[: said.pages]:
        found = any(same(sent, page, ecm) for page in later)
        assert found, "a page was called confirmed that the far end does not hold"
    if said.result is Result.DELIVERED:
        assert said.pages == len(pages)
    if said.result is Result.NOT_DELIVERED:
        assert said.pages < len(pages)
    if not said.may_have_copies:
        others = pages[said.pages :]
        more = any(same(sent, page, ecm) for sent in others for page in held)
        assert not more, "the far end holds more than was said"


def why_again(air: Air) -> list[str]:
    return [r.why for r in air.stations[0].reports if isinstance(r, PageAgain)]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_clean_line_delivers_every_page_as_it_is(name: str) -> None:
    pages, ecm = DOCUMENTS[name]
    assert why_again(call(pages, ecm)) == []


@pytest.mark.parametrize("rate", FALL_BACK)
def test_every_speed(rate: Rate) -> None:
    pages = [plain_page(1)]
    sender = Sender(pages, SenderSettings(rates=(rate,)))
    receiver = Receiver(ReceiverSettings())
    Air().call(sender, receiver)
    check_truth(pages, sender, receiver)
    assert sender.outcome is not None
    assert sender.outcome.result is Result.DELIVERED
    assert sender.outcome.chosen is not None
    assert sender.outcome.chosen.rate == rate


@pytest.mark.parametrize(
    ("sends", "takes", "coding"),
    [(True, True, Coding.MMR), (False, True, Coding.MR), (True, False, Coding.MR)],
)
def test_ecm_chooses_the_best_coding_both_have(sends: bool, takes: bool, coding: Coding) -> None:
    pages = [plain_page(1)]
    sender = Sender(pages, SenderSettings(t6=sends))
    receiver = Receiver(ReceiverSettings(t6=takes))
    Air().call(sender, receiver)
    assert sender.outcome is not None
    assert sender.outcome.chosen is not None
    assert (sender.outcome.result, sender.outcome.chosen.coding) == (Result.DELIVERED, coding)
    assert [page.page() for page in receiver.pages] == pages


def test_damaged_frames_alone_are_sent_again() -> None:
    pages = [noisy_page(3, 200)]
    (why,) = why_again(call(pages, faults=[*TSI_TO_CFR, DAMAGED]))
    assert why in ("PPR 2", "PPR 3", "PPR 4")  # two bursts, each on one frame or on two


def test_after_four_requests_the_speed_is_changed() -> None:
    bad = [DAMAGED, NONE, NONE]  # the frames, PPS, PPR
    pages = [noisy_page(3, 20)]
    sender, receiver = stations(pages)
    Air([*TSI_TO_CFR, *bad * 6]).call(sender, receiver)
    assert sender.outcome is not None
    assert sender.outcome.chosen is not None
    assert sender.outcome.chosen.rate.bps == 12000


def test_a_bad_page_without_ecm_is_refused_and_sent_again_slower() -> None:
    sender, receiver = stations([noisy_page(3, 20)], ecm=False)
    Air([*TSI_TO_CFR, DAMAGED]).call(sender, receiver)
    assert sender.outcome is not None
    assert sender.outcome.result is Result.DELIVERED
    assert sender.outcome.chosen is not None
    assert sender.outcome.chosen.rate.bps == 12000


def test_a_page_whose_end_is_missing_is_refused_and_sent_again() -> None:
    pages = [plain_page(6)]
    sender, receiver = stations(pages, ecm=False)
    Air([*TSI_TO_CFR, Fault.LATE]).call(sender, receiver)  # the last octets do not come
    check_truth(pages, sender, receiver, ecm=False)
    assert sender.outcome is not None
    assert sender.outcome.result is Result.DELIVERED
    assert [page.page() for page in receiver.pages] == pages


def test_a_failed_training_check_goes_to_the_next_speed() -> None:
    sender, receiver = stations([plain_page(1)])
    Air([NONE] * 4 + [DAMAGED]).call(sender, receiver)
    assert sender.outcome is not None
    assert sender.outcome.chosen is not None
    assert sender.outcome.chosen.rate.bps == 12000
    assert sender.outcome.result is Result.DELIVERED


def test_a_lost_confirmation_is_said_again_and_no_page_is_kept_twice() -> None:
    for ecm in (True, False):
        pages = [plain_page(1), plain_page(2)]
        sender, receiver = stations(pages, ecm)
        Air([*TSI_TO_CFR, NONE, NONE, LOST]).call(sender, receiver)  # page, message, MCF
        assert sender.outcome is not None
        assert sender.outcome.result is Result.DELIVERED
        assert [page.page() for page in receiver.pages] == pages


def test_no_answer_after_the_last_page_is_unconfirmed_not_failed() -> None:
    pages = [plain_page(1)]
    sender, receiver = stations(pages)
    Air([*TSI_TO_CFR, NONE, *[NONE, LOST] * 3]).call(sender, receiver)
    assert sender.outcome is not None
    assert sender.outcome.result is Result.UNCONFIRMED
    assert sender.outcome.may_have_copies
    assert receiver.pages[0].confirmed


def test_no_common_speed_ends_the_call() -> None:
    sender = Sender([plain_page(1)], SenderSettings(rates=(V17_14400,)))
    receiver = Receiver(ReceiverSettings(rates=(V29_9600, V27TER_2400)))
    Air().call(sender, receiver)
    assert sender.outcome is not None
    assert sender.outcome.result is Result.NOT_DELIVERED
    assert not sender.outcome.may_have_copies


def test_two_senders_and_two_receivers_do_not_hang() -> None:
    one, other = stations([plain_page(1)])[0], stations([plain_page(2)])[0]
    Air().call(one, other)
    assert one.outcome is not None
    assert one.outcome.result is Result.NOT_DELIVERED
    first, second = Receiver(ReceiverSettings()), Receiver(ReceiverSettings())
    Air().call(first, second)
    assert first.outcome is not None
    assert first.outcome.pages == 0


FAULTS = st.lists(
    st.sampled_from([NONE, NONE, NONE, LOST, DAMAGED, Fault.REPEATED, Fault.LATE, Fault.CUT]),
    max_size=60,
)


@settings(
    max_examples=250, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(
    name=st.sampled_from(sorted(DOCUMENTS)),
    faults=FAULTS,
    late=st.floats(0.0, 1.5),
    tells_end=st.booleans(),
)
def test_whatever_the_line_does_the_call_ends_with_the_truth(
    name: str, faults: list[Fault], late: float, tells_end: bool
) -> None:
    pages, ecm = DOCUMENTS[name]
    sender, receiver = stations(pages, ecm)
    Air(faults, late=late, tells_end=tells_end).call(sender, receiver)
    check_truth(pages, sender, receiver, ecm)
