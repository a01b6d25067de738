"""Any event at any time, frames from a hostile peer included: a T.30 session takes it and ends."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.fax.hdlc import ADDRESS
from hardware.fax.t30 import (
    Answered,
    Cancelled,
    CarrierEnded,
    Cause,
    Done,
    Event,
    Garbled,
    HangUp,
    Heard,
    Listen,
    Lost,
    Octets,
    Quiet,
    Receive,
    Result,
    Session,
    Speak,
    Train,
    Transmit,
    Untrained,
)
from hardware.fax.t30_frames import Coding, Fcf, build_frame
from hardware.fax.t30_receiver import Receiver
from hardware.fax.t30_receiver import State as ReceiverState
from hardware.fax.t30_sender import Sender
from hardware.fax.t30_sender import State as SenderState
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from tests.hardware.fax.pages import plain_page

ACTS = (Speak, Listen, Train, Transmit, Receive, HangUp)
FRAMES = st.builds(
    lambda fcf, x, final, fif: Heard(build_frame(fcf, fif, x=x, final=final)),
    st.sampled_from(list(Fcf)),
    st.booleans(),
    st.booleans(),
    st.one_of(st.binary(max_size=40), st.just(bytes.fromhex("00EEF844")), st.just(b"\xff" * 32)),
)
EVENTS = st.one_of(
    FRAMES,
    st.builds(Heard, st.binary(max_size=8)),
    st.sampled_from([Answered(), Done(), Done(), Done(), Garbled(), Quiet()]),
    st.sampled_from([CarrierEnded(), Untrained(), Octets(bytes(2000)), Octets(b"\x7e\xff" * 99)]),
)


def sessions() -> tuple[Session, Session]:
    pages = [plain_page(1, 40), plain_page(2, 40)]
    return Sender(pages, SenderSettings(identity="1")), Receiver(ReceiverSettings(identity="2"))


def check(session: Session, events: list[Event]) -> None:
    now = 0.0
    for event in events:
        now += 0.5
        acts = [item for item in session.step(event, now) if isinstance(item, ACTS)]
        assert len(acts) <= 1, "one act at a time"
        assert all(act.seconds > 0 for act in acts if isinstance(act, Listen | Receive))
    session.step(Lost(Cause.LINE_CUT), now)
    assert session.outcome is not None
    assert session.step(Done(), now) == ()


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_any_events_in_any_order(events: list[Event]) -> None:
    for session in sessions():
        check(session, [Answered(), *events])


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(EVENTS, max_size=60))
def test_nothing_is_delivered_without_a_confirmation_of_each_page(events: list[Event]) -> None:
    sender = sessions()[0]
    check(sender, [Answered(), *events])
    confirming = (Fcf.MCF, Fcf.RTP, Fcf.PIP)
    heard = sum(isinstance(e, Heard) and e.octets[2:3] in _either(confirming) for e in events)
    assert sender.outcome is not None
    assert sender.outcome.pages <= heard
    assert (sender.outcome.result is Result.DELIVERED) == (sender.outcome.pages == 2)


def _either(names: tuple[Fcf, ...]) -> set[bytes]:
    return {bytes((name | x,)) for name, x in itertools.product(names, (0, 1))}


PLAIN_EVENTS: tuple[Event, ...] = (
    Answered(), Done(), Garbled(), Quiet(), Octets(b"\0"), CarrierEnded(), Untrained(),
    Heard(b""), Heard(bytes((ADDRESS, 0x13))), Heard(build_frame(Fcf.DCN, x=False)), Cancelled(),
    Lost(Cause.MODEM),
    *(Heard(build_frame(fcf, bytes(n), x=x)) for fcf in Fcf for n in (0, 4) for x in (True, False)),
)  # fmt: skip


_DIS = Heard(build_frame(Fcf.DIS, bytes.fromhex("00EEF844"), x=False))
_PPR = Heard(build_frame(Fcf.PPR, b"\xff" * 32, x=False))
_CFR = Heard(build_frame(Fcf.CFR, x=False))
_DCS = Heard(build_frame(Fcf.DCS, bytes.fromhex("006278"), x=True))
_IMAGE = Octets(plain_page(1, 40).coded(Coding.MH))
_ROUND: list[Event] = [Done(), Done(), _PPR]
_FOUR_REQUESTS: list[Event] = [
    Answered(), _DIS, Done(), Done(), _CFR, *(Done(), Done(), _PPR) * 4, Done()
]  # fmt: skip
_A_PAGE: list[Event] = [
    Answered(), Done(), _DCS, Octets(bytes(2700)), CarrierEnded(), Done(), _IMAGE, CarrierEnded()
]  # fmt: skip
DEEP = (
    [_FOUR_REQUESTS],
    [[*_A_PAGE, Heard(build_frame(fcf, x=True)), Done()] for fcf in (Fcf.EOP, Fcf.EOM)],
)
"""Ways to states that no single event leads to."""


def play(side: int, events: list[Event]) -> str:
    """The state after these events."""
    session = sessions()[side]
    assert isinstance(session, Sender | Receiver)
    for number, event in enumerate(events):
        session.step(event, number * 0.1)
    return session.state


@pytest.mark.parametrize("side", [0, 1])
def test_every_state_has_an_answer_to_every_event(side: int) -> None:
    """Walks to each state that can be reached, and tries each event there."""
    reached: set[str] = set()
    waiting: list[list[Event]] = [[]]
    waiting += [path[:n] for path in DEEP[side] for n in range(1, len(path) + 1)]
    while waiting:
        path = waiting.pop(0)
        reached.add(play(side, path))
        for event in (*PLAIN_EVENTS, _DIS, _DCS):
            state = play(side, [*path, event])
            if state not in reached:
                reached.add(state)
                waiting.append([*path, event])
    assert reached == set(SenderState if side == 0 else ReceiverState)


@pytest.mark.parametrize(
    ("heard", "cause"),
    [([], Cause.NO_FAX), ([Heard(b"\xff")], Cause.NO_FAX),
     ([Heard(build_frame(Fcf.CSI, b"1" * 20, x=False, final=False))], Cause.LINE_CUT),
     ([_DIS], Cause.LINE_CUT)],
)  # fmt: skip
def test_a_call_cut_before_a_fax_machine_was_heard_met_a_person(
    heard: list[Event], cause: Cause
) -> None:
    sender = sessions()[0]
    for number, event in enumerate([Answered(), *heard, Lost(Cause.LINE_CUT)]):
        sender.step(event, number * 0.1)
    assert sender.outcome is not None
    assert (sender.outcome.result, sender.outcome.cause) == (Result.NOT_DELIVERED, cause)
