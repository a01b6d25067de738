"""The called station of a T.30 session: receives a document. Pure.

The tables at the end say which command is answered how, in which state. A page is confirmed only
when it is here: under ECM with every frame of it, else with enough good lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final

from hardware.fax import t30_limits as limits
from hardware.fax.page import WIDTH
from hardware.fax.rates import rate_of_dcs
from hardware.fax.received import ReceivedPage
from hardware.fax.t30 import (
    Agreed,
    Answered,
    CarrierEnded,
    Cause,
    Event,
    Octets,
    Outcome,
    PageAgain,
    PageConfirmed,
    Receive,
    Result,
    Speak,
    Step,
    Untrained,
)
from hardware.fax.t30_ecm import PartialPage, parse_pps, ppr_map
from hardware.fax.t30_frames import POST_PAGE, Coding, Fcf, Frame, X, build_dis, parse_dcs
from hardware.fax.t30_incoming import IncomingPage, TrainingCheck
from hardware.fax.t30_settings import ReceiverSettings
from hardware.fax.t30_station import Station, Tables


class State(StrEnum):
    """Where a receiver stands."""

    RINGING = "ringing"
    SAY_DIS = "say DIS"
    AWAIT_DCS = "await DCS"
    RECEIVE_TCF = "receive training check"
    MISSED_TCF = "training check not heard"
    SAY_TRAINED = "say CFR or FTT"
    RECEIVE_IMAGE = "receive image"
    AWAIT_POST = "await post-page message"
    SAY_ANSWER = "say answer"
    AFTER_EOM = "after EOM"
    AWAIT_DCN = "await DCN"
    SAY_DCN = "say DCN"
    ENDED = "ended"


class Receiver(Station[State]):
    """Receives pages; they are in `pages`, confirmed ones first."""

    CALLS = False
    FAR_ID = Fcf.TSI

    def __init__(self, settings: ReceiverSettings) -> None:
        super().__init__(settings.identity, _TABLES)
        self._settings = settings
        self._kept: list[ReceivedPage] = []
        self._part: ReceivedPage | None = None
        """A page that came but was not confirmed."""
        self._dis_until = 0.0
        self._repeats = self._quiet = 0
        self._last_answer: tuple[bytes, ...] = ()
        self._answered_message: int | None = None
        self._answered_at = 0.0
        self._next = State.AWAIT_DCS
        self._check = TrainingCheck()
        self._long_training = False
        self._page = IncomingPage()
        self._complete = False
        """EOP was confirmed."""

    @property
    def pages(self) -> tuple[ReceivedPage, ...]:
        """What is here; a page that was not confirmed comes last."""
        part = self._part
        if part is None and self._chosen is not None:
            part = self._page.unfinished(self._chosen)
        return (*self._kept, part) if part is not None else tuple(self._kept)

    def _other(self, event: Event, now: float) -> Step:
        match event:
            case Answered() if self.state is State.RINGING:
                return self._invite(now)
            case Octets(data) if self.state in _CARRIER:
                return self._take_data(data)
            case CarrierEnded() if self.state in _CARRIER:
                return _CARRIER[self.state][0](self, now)
            case Untrained() if self.state in _CARRIER:
                return _CARRIER[self.state][1](self, now)
        return ()

    def _nothing_heard(self, now: float) -> Step:
        return _QUIET[self.state](self, now)

    # Phase B

    def _invite(self, now: float) -> Step:
        """CSI and DIS, again and again until T1."""
        self._dis_until = now + limits.T1
        return self._say_dis()

    def _say_dis(self) -> Step:
        self.state = State.SAY_DIS
        dis = build_dis(self._settings.rates, ecm=self._settings.ecm, t6=self._settings.t6)
        frame = self._frame(Fcf.DIS, dis)
        return (Speak(self._with_identity(Fcf.CSI, self._settings.identity, frame)),)

    def _dis_again(self, now: float) -> Step:
        if now >= self._dis_until:
            return self._end(Cause.NO_RESPONSE if self._kept else Cause.NO_FAX)
        return self._say_dis()

    def _take_dcs(self, frame: Frame, now: float) -> Step:
        chosen = parse_dcs(frame.fif)
        mine = self._settings
        if (
            chosen is None
            or chosen.rate not in mine.rates
            or chosen.width != WIDTH
            or (chosen.ecm and not mine.ecm)
            or (chosen.coding is Coding.MMR and not mine.t6)
        ):
            return self._go_on_listening(now)  # then DIS again, which says what we can do
        self._chosen = chosen
        self._check = TrainingCheck()
        self._answered_message = None
        self._page.retrained()
        self.state = State.RECEIVE_TCF
        return (
            Agreed(chosen, self._far_id),
            Receive(chosen.rate, long_training=True, seconds=limits.TCF_HEARD),
        )

    def _judge_tcf(self, now: float) -> Step:
        good = self._check.good(self._now_chosen.rate)
        return self._say_trained(Fcf.CFR if good else Fcf.FTT)

    def _say_trained(self, answer: Fcf) -> Step:
        self._long_training = False
        self._next = State.RECEIVE_IMAGE if answer is Fcf.CFR else State.AWAIT_DCS
        self.state = State.SAY_TRAINED
        self._last_answer = (self._frame(answer),)
        return (Speak(self._last_answer),)

    def _tcf_missed(self, now: float) -> Step:
        """Untrained: the check is perhaps still on the line, or DCS comes again."""
        return self._listen(State.MISSED_TCF, limits.TCF_HEARD, now)

    # Phase C

    def _receive_image(self, now: float) -> Step:
        chosen = self._now_chosen
        self.state = State.RECEIVE_IMAGE
        self._quiet = 0
        self._page.carrier(chosen)
        return (Receive(chosen.rate, self._long_training, limits.CARRIER),)

    def _take_data(self, data: bytes) -> Step:
        if self.state is State.RECEIVE_TCF:
            self._check.feed(data, self._now_chosen.rate)
        elif not self._page.feed(data, self._now_chosen):
            return self._end(Cause.TOO_LARGE)
        return ()

    def _await_post(self, now: float) -> Step:
        return self._listen(State.AWAIT_POST, limits.T2, now)

    def _image_missed(self, now: float) -> Step:
        """Untrained: a command is there at once, or comes when the page nobody hears is over."""
        block = limits.BLOCK_FRAMES * 256 * 8 / self._now_chosen.rate.bps
        return self._listen(State.AWAIT_POST, limits.T2 + block, now)

    def _post_missed(self, now: float) -> Step:
        """T2 over. A sender says its message three times: one more wait."""
        self._quiet += 1
        return self._end(Cause.NO_RESPONSE) if self._quiet > 1 else self._await_post(now)

    # Phase D

    def _take_message(self, frame: Frame, now: float) -> Step:
        """MPS, EOM or EOP to a page without ECM."""
        if self._now_chosen.ecm:
            return self._go_on_listening(now)
        message, page = POST_PAGE[Fcf(frame.fcf)], self._page
        if not page.has_lines:
            if self._is_repeat(frame, now):
                return self._answer_again(now)
            self._part = None
            return self._refuse(message)  # the page was sent and is not here
        if not page.complete:
            self._part = page.page_of_lines(self._now_chosen, confirmed=False)
            return self._refuse(message)
        return self._keep(page.page_of_lines(self._now_chosen, confirmed=True), message)

    def _is_repeat(self, frame: Frame, now: float) -> bool:
        same = POST_PAGE.get(Fcf(frame.fcf)) == self._answered_message
        return same and now - self._answered_at <= limits.REPEATED_PPM

    def _take_pps(self, frame: Frame, now: float) -> Step:
        """End of an ECM block (T.30, A.4.3)."""
        pps = parse_pps(frame.fif)
        if pps is None or not self._now_chosen.ecm:
            return self._go_on_listening(now)
        message = _message_of(pps)
        if message is None and pps.message & ~X:
            return self._go_on_listening(now)
        blocks = self._page.blocks
        if blocks.again(pps):
            blocks.drop_frames()
            return self._say_answer(Fcf.MCF, message, again=True)
        missing = blocks.missing(pps)
        if missing:
            return self._ask_again(missing)
        blocks.complete(pps)
        if message is None:
            return self._say_answer(Fcf.MCF, None)
        return self._keep(self._page.page_of_blocks(self._now_chosen, confirmed=True), message)

    def _ask_again(self, missing: list[int]) -> Step:
        again = PageAgain(len(self._kept) + 1, f"PPR {len(missing)}")
        self._long_training = False
        self._next = State.RECEIVE_IMAGE
        return (again, *self._speak_answer(self._frame(Fcf.PPR, ppr_map(missing))))

    def _keep(self, page: ReceivedPage, message: Fcf) -> Step:
        self._kept.append(page)
        self._part = None
        self._page.kept()
        if message is Fcf.MPS and len(self._kept) >= limits.MAX_PAGES:
            self._kept[-1] = replace(page, confirmed=False)
            return self._end(Cause.TOO_LARGE)
        confirmed = PageConfirmed(len(self._kept))
        return (confirmed, *self._say_answer(Fcf.MCF, message))

    def _refuse(self, message: Fcf) -> Step:
        self._answered_message = message
        self._next = State.AWAIT_DCS
        self._page.judged()
        again = PageAgain(len(self._kept) + 1, "RTN")
        return (again, *self._speak_answer(self._frame(Fcf.RTN)))

    def _say_answer(self, answer: Fcf, message: Fcf | None, *, again: bool = False) -> Step:
        """MCF to a page or block: what comes next depends on the message."""
        self._answered_message = message
        self._page.judged()
        self._complete = self._complete or message is Fcf.EOP
        self._long_training = False
        self._next = {
            Fcf.EOP: State.AWAIT_DCN, Fcf.EOM: State.AFTER_EOM
        }.get(message or Fcf.MPS, State.RECEIVE_IMAGE)  # fmt: skip
        frame = self._frame(answer)
        return self._count_repeat(frame) if again else self._speak_answer(frame)

    def _speak_answer(self, frame: bytes) -> Step:
        self._repeats = 0
        self.state, self._last_answer = State.SAY_ANSWER, (frame,)
        return (Speak(self._last_answer),)

    def _count_repeat(self, frame: bytes) -> Step:
        self._repeats += 1
        if self._repeats > limits.ANSWER_REPEATS:
            return self._end(Cause.BAD_PROTOCOL)
        self.state, self._last_answer = State.SAY_ANSWER, (frame,)
        return (Speak(self._last_answer),)

    def _answer_again(self, now: float) -> Step:
        return self._count_repeat(self._last_answer[-1])

    def _repeat(self, frame: Frame, now: float) -> Step:
        """CRP or RR: say the last answer again."""
        if not self._last_answer:
            return self._go_on_listening(now)
        return self._answer_again(now)

    def _answered(self, now: float) -> Step:
        self._answered_at = now
        if self._next is State.RECEIVE_IMAGE:
            return self._receive_image(now)
        if self._next is State.AWAIT_DCS:
            self._dis_until = now + limits.T1
        return self._listen(self._next, limits.T2, now)

    def _message_again(self, frame: Frame, now: float) -> Step:
        """The message whose answer was given: the sender has not heard it."""
        if POST_PAGE.get(Fcf(frame.fcf)) != self._answered_message:
            return self._go_on_listening(now)
        return self._answer_again(now)

    def _pps_again(self, frame: Frame, now: float) -> Step:
        pps = parse_pps(frame.fif)
        if pps is None or not self._page.blocks.again(pps):
            return self._go_on_listening(now)
        return self._answer_again(now)

    def _take_ctc(self, frame: Frame, now: float) -> Step:
        """Another speed for the rest of the block (T.30, A.4.4)."""
        rate = rate_of_dcs(frame.fif[1]) if len(frame.fif) >= 2 else None
        if rate is None or rate not in self._settings.rates or not self._now_chosen.ecm:
            return self._go_on_listening(now)
        self._chosen = replace(self._now_chosen, rate=rate)
        step = self._speak_answer(self._frame(Fcf.CTR))
        self._long_training, self._next = True, State.RECEIVE_IMAGE
        return (Agreed(self._chosen, self._far_id), *step)

    def _take_eor(self, frame: Frame, now: float) -> Step:
        """The sender gives the block up: the page stays unconfirmed (T.30, A.4.5)."""
        if not self._now_chosen.ecm:
            return self._go_on_listening(now)
        self._page.blocks.give_up()
        self._part = self._page.page_of_blocks(self._now_chosen, confirmed=False)
        message = frame.fif[0] & ~X if frame.fif else 0
        last = message == Fcf.EOP
        step = self._speak_answer(self._frame(Fcf.ERR))
        self._next = State.AWAIT_DCN if last else State.RECEIVE_IMAGE
        return step

    # Phase E

    def _take_dcn(self, frame: Frame, now: float) -> Step:
        cause = Cause.DONE if self._complete else Cause.FAR_DISCONNECTED
        return self._end(cause, say_dcn=False)

    def _no_dcn(self, now: float) -> Step:
        return self._end(Cause.DONE if self._complete else Cause.NO_RESPONSE)

    def _outcome_of(self, cause: Cause) -> Outcome:
        whole = self._complete and all(page.confirmed for page in self.pages)
        result = Result.DELIVERED if whole else Result.NOT_DELIVERED
        confirmed = sum(page.confirmed for page in self._kept)
        cause = Cause.DONE if whole else cause
        return Outcome(result, cause, confirmed, False, self._chosen, self._far_id)


def _message_of(pps: PartialPage) -> Fcf | None:
    """The post-page message of a PPS; None between blocks."""
    value = pps.message & ~X
    return POST_PAGE.get(Fcf(value)) if value in Fcf._value2member_map_ else None


After = Callable[[Receiver, float], Step]
Answer = Callable[[Receiver, Frame, float], Step]

_AFTER: Final[Mapping[State, After]] = {
    State.SAY_DIS: lambda receiver, now: receiver._listen(State.AWAIT_DCS, limits.T4, now),
    State.SAY_TRAINED: Receiver._answered,
    State.SAY_ANSWER: Receiver._answered,
}
"""What follows when an act is carried out."""

_CARRIER: Final[Mapping[State, tuple[After, After]]] = {
    State.RECEIVE_TCF: (Receiver._judge_tcf, Receiver._tcf_missed),
    State.RECEIVE_IMAGE: (Receiver._await_post, Receiver._image_missed),
}
"""When a fast carrier has ended, and when none came."""

_QUIET: Final[Mapping[State, After]] = {
    State.AWAIT_DCS: Receiver._dis_again,
    State.MISSED_TCF: lambda receiver, now: receiver._say_trained(Fcf.FTT),
    State.AWAIT_POST: Receiver._post_missed,
    State.AFTER_EOM: Receiver._invite,
    State.AWAIT_DCN: Receiver._no_dcn,
}
"""When nothing was heard in time."""

_BEGIN: Final[Mapping[int, Answer]] = {Fcf.DCS: Receiver._take_dcs, Fcf.DCN: Receiver._take_dcn}
_AGAIN: Final[Mapping[int, Answer]] = {
    **dict.fromkeys(POST_PAGE, Receiver._message_again),
    Fcf.PPS: Receiver._pps_again,
}
_COMMANDS: Final[Mapping[State, Mapping[int, Answer]]] = {
    State.AWAIT_DCS: {**_BEGIN, **_AGAIN},
    State.MISSED_TCF: _BEGIN,
    State.AWAIT_POST: {
        **_BEGIN,
        **dict.fromkeys(POST_PAGE, Receiver._take_message),
        Fcf.PPS: Receiver._take_pps,
        Fcf.EOR: Receiver._take_eor,
        Fcf.CTC: Receiver._take_ctc,
        Fcf.RR: Receiver._repeat,
        Fcf.CRP: Receiver._repeat,
    },
    State.AFTER_EOM: {**_BEGIN, **_AGAIN, Fcf.CRP: Receiver._repeat},
    State.AWAIT_DCN: {**_BEGIN, **_AGAIN, Fcf.CRP: Receiver._repeat},
}
"""The commands of T.30. A final frame that is none here is passed over; the time goes on."""

_TABLES: Final = Tables(State.RINGING, State.SAY_DCN, State.ENDED, _AFTER, _COMMANDS)
