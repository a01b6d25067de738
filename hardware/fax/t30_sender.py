"""The calling station of a T.30 session: sends a document. Pure.

The table at the end says which response is answered how, in which state. Nothing is confirmed but
by MCF, RTP or PIP to the page's own post-page message (T.30, 5.3.6.1.7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from hardware.fax import t30_limits as limits
from hardware.fax.hdlc import ecm_block
from hardware.fax.page import WIDTH, Page, PageError
from hardware.fax.rates import Rate
from hardware.fax.t30 import (
    Agreed,
    Answered,
    Cause,
    Event,
    Outcome,
    PageAgain,
    PageConfirmed,
    PageStarted,
    Result,
    Speak,
    Step,
    Train,
    Transmit,
)
from hardware.fax.t30_frames import Abilities, Chosen, Coding, Fcf, Frame, build_dcs, parse_dis
from hardware.fax.t30_outgoing import OutgoingPage
from hardware.fax.t30_settings import SenderSettings
from hardware.fax.t30_station import Station, Tables

LEAD_IN: Final = 32
"""Octets of zeros before the first EOL, for the far modem to settle (fill, T.4, 4.1.3)."""
LEAD_OUT: Final = 20
"""Octets of zeros after RTC, which push the last bits through the modem."""


class State(StrEnum):
    """Where a sender stands (phases A to E of T.30)."""

    CALLING = "calling"
    AWAIT_DIS = "await DIS"
    SAY_DCS = "say DCS"
    TRAIN = "train"
    AWAIT_CFR = "await CFR"
    SEND_IMAGE = "send image"
    SAY_POST = "say post-page message"
    AWAIT_RESPONSE = "await response"
    SAY_CTC = "say CTC"
    AWAIT_CTR = "await CTR"
    SAY_DCN = "say DCN"
    ENDED = "ended"


class Sender(Station[State]):
    """Sends pages in order. Raises PageError for no page and for one that is not A4 wide."""

    CALLS = True
    FAR_ID = Fcf.CSI

    def __init__(self, pages: Sequence[Page], settings: SenderSettings) -> None:
        super().__init__(settings.identity, _TABLES)
        if not pages:
            raise PageError("没有页面 / no pages")
        if any(page.width != WIDTH or not page.height for page in pages):
            raise PageError(f"页宽应为 {WIDTH} 点 / pages must be {WIDTH} pels wide, not empty")
        self._pages = pages
        self._settings = settings
        self._tries = self._crps = 0
        self._command: tuple[bytes, ...] = ()
        self._abilities: Abilities | None = None
        self._rates: list[Rate] = []
        self._trainings = self._dis_repeats = self._page_tries = 0
        self._confirmed = 0
        self._long_training = False
        self._out = OutgoingPage()
        self._held_since: float | None = None
        self._doubt = self._copies = False

    def _other(self, event: Event, now: float) -> Step:
        if isinstance(event, Answered) and self.state is State.CALLING:
            return self._listen(State.AWAIT_DIS, limits.T1, now)
        return ()

    def _why_lost(self, cause: Cause) -> Cause:
        """A call that is cut before anything of a fax machine was heard: a person has hung up."""
        nothing = self.state is State.AWAIT_DIS and self._abilities is None and not self._far_id
        return Cause.NO_FAX if cause is Cause.LINE_CUT and nothing else cause

    def _say(self, state: State, *frames: bytes) -> Step:
        self.state, self._command = state, frames
        return (Speak(frames),)

    def _say_first(self, state: State, *frames: bytes) -> Step:
        """A new command, with all its tries."""
        self._tries = self._crps = 0
        return self._say(state, *frames)

    def _nothing_heard(self, now: float) -> Step:
        """No valid response: the command is said again, COMMAND_TRIES times in all."""
        if self.state is State.AWAIT_DIS:
            return self._end(Cause.NO_RESPONSE if self._confirmed else Cause.NO_FAX)
        self._tries += 1
        if self._tries >= limits.COMMAND_TRIES:
            after_page = self.state is State.AWAIT_RESPONSE
            return self._end(Cause.NO_PAGE_RESPONSE if after_page else Cause.NO_RESPONSE)
        if self.state is State.AWAIT_CFR:
            return self._count_training() or self._say(State.SAY_DCS, *self._command)
        return self._say(_SAYS[self.state], *self._command)

    # Phase B: settings and training

    def _take_dis(self, frame: Frame, now: float) -> Step:
        abilities = parse_dis(frame.fif)
        if abilities is None:
            return self._go_on_listening(now)
        if not abilities.receives:
            return self._end(Cause.CANNOT_RECEIVE)
        self._abilities = abilities
        able = [rate for rate in abilities.rates if rate in self._settings.rates]
        fitting = [rate for rate in able if rate.bps <= self._settings.max_bps]
        if self._rates:  # what has failed in this call is not tried again
            fitting = [rate for rate in fitting if rate in self._rates]
        if not fitting:
            return self._end(Cause.NOT_TRAINED)
        self._rates = fitting
        return self._agree()

    def _agree(self) -> Step:
        """DCS by what the far end can do and what this page is."""
        if refused := self._count_training():
            return refused
        can = self._abilities
        assert can is not None  # nothing is agreed before DIS
        settings = self._settings
        ecm = settings.ecm and can.ecm
        coding = Coding.MMR if ecm and can.t6 and settings.t6 else Coding.MH
        if ecm and can.mr and coding is Coding.MH:
            coding = Coding.MR  # without ECM a damaged line would spoil those below it
        fine = self._page.fine and can.fine
        before = self._chosen
        chosen = Chosen(
            self._rates[0], fine, coding, 0 if ecm else can.scan_ms(fine), ecm, 256, WIDTH
        )
        self._chosen = chosen
        if before is None or (before.coding, before.ecm, before.fine) != (coding, ecm, fine):
            self._out = OutgoingPage()  # coded anew
        dcs = self._frame(Fcf.DCS, build_dcs(chosen))
        frames = self._with_identity(Fcf.TSI, self._settings.identity, dcs)
        return (Agreed(chosen, self._far_id), *self._say_first(State.SAY_DCS, *frames))

    def _count_training(self) -> Step:
        self._trainings += 1
        return self._end(Cause.NOT_TRAINED) if self._trainings > limits.TRAININGS else ()

    def _train(self, now: float) -> Step:
        self.state = State.TRAIN
        return (Train(self._now_chosen.rate),)

    def _take_cfr(self, frame: Frame, now: float) -> Step:
        self._long_training = False
        return self._send_image()

    def _fall_back(self, frame: Frame, now: float) -> Step:
        del self._rates[0]
        return self._agree() if self._rates else self._end(Cause.NOT_TRAINED)

    def _dis_for_cfr(self, frame: Frame, now: float) -> Step:
        """The far end missed DCS or the training check."""
        self._dis_repeats += 1
        if self._dis_repeats > limits.DIS_REPEATS:
            return self._end(Cause.NO_RESPONSE)
        return self._take_dis(frame, now)

    # Phase C: the page

    @property
    def _page(self) -> Page:
        return self._pages[self._confirmed]

    def _send_image(self) -> Step:
        chosen = self._now_chosen
        self.state = State.SEND_IMAGE
        self._trainings = 0
        if not chosen.ecm:
            octets = self._coded(chosen.min_line_bits)
            return self._transmit(bytes(LEAD_IN) + octets + bytes(LEAD_OUT))
        if self._out.empty:
            self._out = OutgoingPage.cut(self._coded(), chosen.frame_octets)
        return self._transmit(ecm_block(self._out.next_frames(), chosen.rate.block_flags))

    def _coded(self, min_line_bits: int = 0) -> bytes:
        page = self._page if self._now_chosen.fine else self._page.coarse()
        return page.coded(self._now_chosen.coding, min_line_bits)

    def _transmit(self, octets: bytes) -> Step:
        started = PageStarted(self._confirmed + 1, len(octets))
        return (started, Transmit(self._now_chosen.rate, self._long_training, octets))

    # Phase D: after the page

    def _post_page(self) -> Fcf:
        """Which message ends this page."""
        if self._confirmed + 1 == len(self._pages):
            return Fcf.EOP
        same = self._pages[self._confirmed + 1].fine == self._page.fine
        return Fcf.MPS if same else Fcf.EOM

    def _say_post(self, now: float) -> Step:
        self._held_since = None
        message = self._post_page()
        if not self._now_chosen.ecm:
            self._doubt = True
            return self._say_first(State.SAY_POST, self._frame(message))
        self._doubt = self._doubt or not self._out.more
        fif = self._out.partial_page(self._confirmed, message)
        return self._say_first(State.SAY_POST, self._frame(Fcf.PPS, fif))

    @property
    def _between_blocks(self) -> bool:
        """An answer now is to a block, and more blocks of the page follow."""
        return self._now_chosen.ecm and self._out.more

    def _take_mcf(self, frame: Frame, now: float) -> Step:
        if self._between_blocks:
            self._out.next_block()
            self._long_training = False
            return self._send_image()
        return self._page_confirmed(now, retrain=False)

    def _take_rtp(self, frame: Frame, now: float) -> Step:
        if self._between_blocks:
            return self._go_on_listening(now)  # no answer to a block (T.30, A.4)
        return self._page_confirmed(now, retrain=True)

    def _page_confirmed(self, now: float, retrain: bool) -> Step:
        message = self._post_page()
        self._confirmed += 1
        self._doubt = False
        self._page_tries = self._dis_repeats = 0
        self._out = OutgoingPage()
        confirmed = PageConfirmed(self._confirmed)
        if self._confirmed == len(self._pages):
            return (confirmed, *self._end(Cause.DONE))
        if message is Fcf.EOM:
            return (confirmed, *self._listen(State.AWAIT_DIS, limits.DIS_AFTER_EOM, now))
        self._long_training = False
        return (confirmed, *(self._agree() if retrain else self._send_image()))

    def _take_pip(self, frame: Frame, now: float) -> Step:
        """Page good, but the far operator wants to talk: nobody here does."""
        if self._between_blocks:
            return self._go_on_listening(now)
        if self._confirmed + 1 == len(self._pages):
            return self._page_confirmed(now, retrain=False)
        self._confirmed += 1
        self._doubt = False
        return (PageConfirmed(self._confirmed), *self._end(Cause.REJECTED))

    def _take_pin(self, frame: Frame, now: float) -> Step:
        self._doubt, self._copies = False, True
        return self._end(Cause.REJECTED)

    def _take_rtn(self, frame: Frame, now: float) -> Step:
        """Page refused: again, slower. Many receivers have printed it all the same."""
        self._doubt, self._copies = False, True
        self._page_tries += 1
        if self._page_tries >= limits.PAGE_TRIES:
            return self._end(Cause.REJECTED)
        if len(self._rates) > 1:
            del self._rates[0]
        self._out.restart()
        return (PageAgain(self._confirmed + 1, "RTN"), *self._agree())

    def _dis_for_page(self, frame: Frame, now: float) -> Step:
        """The far end has fallen back to phase B: train and send the page, or block, again."""
        self._page_tries += 1
        if self._page_tries >= limits.PAGE_TRIES:
            return self._end(Cause.NO_PAGE_RESPONSE)
        self._out.whole_block()
        return (PageAgain(self._confirmed + 1, "DIS"), *self._take_dis(frame, now))

    def _take_ppr(self, frame: Frame, now: float) -> Step:
        """Frames wanted again (T.30, A.4.3): those, and after four requests another speed."""
        wanted = self._out.wanted_again(frame.fif)
        if not wanted:  # nothing of this block, or no ECM
            return self._go_on_listening(now)
        if not self._out.more:
            self._doubt = False
        again = PageAgain(self._confirmed + 1, f"PPR {wanted}")
        if self._out.requests < limits.PPR_BEFORE_CTC:
            self._long_training = False
            return (again, *self._send_image())
        del self._rates[0]
        if not self._rates:
            self._copies = True
            return self._end(Cause.REJECTED)
        self._out.requests = 0
        chosen = self._now_chosen
        self._chosen = Chosen(
            self._rates[0], chosen.fine, chosen.coding, 0, True, chosen.frame_octets, WIDTH
        )
        fif = build_dcs(self._chosen)[:2]
        return (again, *self._say_first(State.SAY_CTC, self._frame(Fcf.CTC, fif)))

    def _take_ctr(self, frame: Frame, now: float) -> Step:
        self._long_training = True
        return self._send_image()

    def _held_back(self, frame: Frame, now: float) -> Step:
        """RNR: the far end is busy with what it has (T.30, A.5.4)."""
        if self._held_since is None:
            self._held_since = now
        if now - self._held_since > limits.T5:
            return self._end(Cause.NO_PAGE_RESPONSE)
        return self._say_first(State.SAY_POST, self._frame(Fcf.RR))

    def _repeat(self, frame: Frame, now: float) -> Step:
        """CRP: the far end did not understand the command."""
        self._crps += 1
        if self._crps > limits.CRP_TRIES:
            return self._nothing_heard(now)
        return self._say(_SAYS[self.state], *self._command)

    # Phase E

    def _take_dcn(self, frame: Frame, now: float) -> Step:
        return self._end(Cause.FAR_DISCONNECTED, say_dcn=False)

    def _outcome_of(self, cause: Cause) -> Outcome:
        missing = len(self._pages) - self._confirmed
        if missing == 0:
            result, cause = Result.DELIVERED, Cause.DONE
        else:
            result = Result.UNCONFIRMED if missing == 1 and self._doubt else Result.NOT_DELIVERED
        copies = bool(missing) and (self._doubt or self._copies)
        return Outcome(result, cause, self._confirmed, copies, self._chosen, self._far_id)


Answer = Callable[[Sender, Frame, float], Step]

_SAYS: Final = {
    State.AWAIT_CFR: State.SAY_DCS,
    State.AWAIT_RESPONSE: State.SAY_POST,
    State.AWAIT_CTR: State.SAY_CTC,
}
"""Which command a state waits for the response to."""

_AFTER: Final[Mapping[State, Callable[[Sender, float], Step]]] = {
    State.SAY_DCS: Sender._train,
    State.TRAIN: lambda sender, now: sender._listen(State.AWAIT_CFR, limits.T4, now),
    State.SEND_IMAGE: Sender._say_post,
    State.SAY_POST: lambda sender, now: sender._listen(State.AWAIT_RESPONSE, limits.T4, now),
    State.SAY_CTC: lambda sender, now: sender._listen(State.AWAIT_CTR, limits.T4, now),
}
"""What follows when an act is carried out."""

_RESPONSES: Final[Mapping[State, Mapping[int, Answer]]] = {
    State.AWAIT_DIS: {
        Fcf.DIS: Sender._take_dis,
        Fcf.DCN: Sender._take_dcn,
    },
    State.AWAIT_CFR: {
        Fcf.CFR: Sender._take_cfr,
        Fcf.FTT: Sender._fall_back,
        Fcf.DIS: Sender._dis_for_cfr,
        Fcf.CRP: Sender._repeat,
        Fcf.DCN: Sender._take_dcn,
    },
    State.AWAIT_RESPONSE: {
        Fcf.MCF: Sender._take_mcf,
        Fcf.RTP: Sender._take_rtp,
        Fcf.RTN: Sender._take_rtn,
        Fcf.PIP: Sender._take_pip,
        Fcf.PIN: Sender._take_pin,
        Fcf.PPR: Sender._take_ppr,
        Fcf.RNR: Sender._held_back,
        Fcf.DIS: Sender._dis_for_page,
        Fcf.CRP: Sender._repeat,
        Fcf.DCN: Sender._take_dcn,
    },
    State.AWAIT_CTR: {
        Fcf.CTR: Sender._take_ctr,
        Fcf.DIS: Sender._dis_for_page,
        Fcf.CRP: Sender._repeat,
        Fcf.DCN: Sender._take_dcn,
    },
}
"""The responses of T.30. A final frame that is none here is passed over; T4 goes on."""

_TABLES: Final = Tables(State.CALLING, State.SAY_DCN, State.ENDED, _AFTER, _RESPONSES)
