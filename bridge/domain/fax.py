"""Faxes that the switch itself carries: what its words about a call mean. Pure.

Asterisk's fax stack (libspandsp) ends a call with one of some sixty phrases. *Delivered* is said
only where the far machine has confirmed every page. Where a page may have been printed although
nobody confirmed it, the outcome is *unknown* (orders sheet, section 1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bridge.domain.delivery import A, Cause

SUCCESS: Final = "SUCCESS"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxSent:
    """How our call ended, in the switch's words. `words` has letters only; `offered`: a fax
    machine had answered, so that pages may have begun; `confirmed` of `pages`; `mode` is audio or
    T38; `far` the far machine's identity."""

    attempt: str
    number: str
    pages: int
    offered: bool
    confirmed: int
    rate: int
    mode: str
    status: str
    words: str
    far: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxIn:
    """A call that came in has ended; `call` names its file in the spool."""

    call: str
    caller: str
    pages: int
    rate: int
    mode: str
    status: str
    words: str
    far: str

    @property
    def whole(self) -> bool:
        """Whether the sender was told that all of it had come."""
        return self.status == SUCCESS


_SENT: Final = re.compile(
    r"([A-Za-z0-9-]{1,48}\.[0-9]{1,4})/([0-9]{0,20})/([0-9]{1,4})/([0-9]{1,6}x[0-9]{1,6})?"
    r"/([0-9]{0,4})/([0-9]{0,6})/([A-Za-z0-9]{0,8})/([A-Z]{0,10})/([A-Za-z]{0,100})/([0-9+]{0,20})"
)
_CAME: Final = re.compile(
    r"([A-Za-z0-9.-]{1,64})/([0-9+]{0,20})/([0-9]{0,4})/([0-9]{0,6})/([A-Za-z0-9]{0,8})"
    r"/([A-Z]{0,10})/([A-Za-z]{0,100})/([0-9+]{0,20})"
)


def parse_sent(said: str) -> FaxSent | None:
    """The plan's own words at the end of `fax-send`; None for anything else."""
    found = _SENT.fullmatch(said)
    if found is None:
        return None
    attempt, number, pages, resolution, confirmed, rate, mode, status, words, far = found.groups()
    return FaxSent(
        attempt=attempt,
        number=number,
        pages=int(pages),
        offered=resolution not in (None, "0x0"),
        confirmed=int(confirmed or 0),
        rate=int(rate or 0),
        mode=mode,
        status=status,
        words=words,
        far=far,
    )


def parse_in(said: str) -> FaxIn | None:
    """The plan's own words at the end of `fax-receive`; None for anything else."""
    found = _CAME.fullmatch(said)
    if found is None:
        return None
    call, caller, pages, rate, mode, status, words, far = found.groups()
    return FaxIn(
        call=call,
        caller=caller,
        pages=int(pages or 0),
        rate=int(rate or 0),
        mode=mode,
        status=status,
        words=words,
        far=far,
    )


_NOT_KNOWN: Final = frozenset(
    {
        "Timedoutwaitingforproceduralinterrupt",
        "Operatorinterventionfailed",
        "ReceivedaDCNfromremoteaftersendingapage",
        "InvalidECMresponsereceivedfromreceiver",
        "Invalidresponseaftersendingapage",
        "Noresponseaftersendingapage",
        "TimedoutwaitingforreceiverreadyECMmode",
    }
)
"""A page had been sent, and its confirmation did not come."""
_CAUSES: Final = {
    "Timedoutwaitingforinitialcommunication": Cause.VOICE_ANSWERED,
    "Timedoutwaitingforthefirstmessage": Cause.VOICE_ANSWERED,
    "TheCEDtoneexceededs": Cause.TRAINING_FAILED,
    "Failedtotrainwithanyofthecompatiblemodems": Cause.TRAINING_FAILED,
    "ReceivedbadresponsetoDCSortraining": Cause.TRAINING_FAILED,
    "ReceivedaDCNwhilewaitingforaDIS": Cause.TRAINING_FAILED,
    "ReceivedotherthanDISwhilewaitingforDIS": Cause.TRAINING_FAILED,
    "ReceivednoresponsetoDCSorTCF": Cause.TRAINING_FAILED,
    "Farendisnotcompatible": Cause.REJECTED,
    "Farendisnotabletoreceive": Cause.REJECTED,
    "Farendisnotabletotransmit": Cause.REJECTED,
    "Farendcannotreceiveattheresolutionoftheimage": Cause.REJECTED,
    "Farendcannotreceiveatthesizeofimage": Cause.REJECTED,
    "Pollnotaccepted": Cause.REJECTED,
    "Identnotaccepted": Cause.REJECTED,
    "Subaddressnotaccepted": Cause.REJECTED,
    "Selectivepollingaddressnotaccepted": Cause.REJECTED,
    "Polledsubaddressnotaccepted": Cause.REJECTED,
    "Senderidentificationnotaccepted": Cause.REJECTED,
    "Passwordnotaccepted": Cause.REJECTED,
    "Transmittingsubscriberinternetaddressnotaccepted": Cause.REJECTED,
    "Internetroutingaddressnotaccepted": Cause.REJECTED,
    "Callingsubscriberinternetaddressnotaccepted": Cause.REJECTED,
    "Internetselectivepollingaddressnotaccepted": Cause.REJECTED,
    "Calledsubscriberinternetaddressnotaccepted": Cause.REJECTED,
    "TIFFFfilecannotbeopened": Cause.ERROR,
    "TIFFFpagenotfound": Cause.ERROR,
    "TIFFFformatisnotcompatible": Cause.ERROR,
    "TIFFFpagenumbertagmissing": Cause.ERROR,
    "IncorrectvaluesforTIFFFtags": Cause.ERROR,
    "BadTIFFFheaderincorrectvaluesinfields": Cause.ERROR,
    "Cannotallocatememoryformorepages": Cause.ERROR,
    "INITERROR": Cause.ERROR,
    "MEMORYERROR": Cause.ERROR,
}
"""Ends before any page was sent. Whatever is in neither table may come at any moment of a call:
only the resolution, which is set when the far machine has answered, tells whether a page may have
begun (measured with res_fax_spandsp of Asterisk 22.10, sound and T.38)."""
_CUT: Final = frozenset({"Thecalldroppedprematurely", "HANGUP", "CHANNELPROBLEM", "TNEGERROR", ""})
"""The far end hung up; where it never said who it is, a person may have done so. T38_NEG_ERROR is
what Asterisk says while it still waits for the far end to offer T.38 (10.5 s)."""


def outcome_of(sent: FaxSent) -> tuple[A, Cause | None]:
    """What became of the attempt."""
    if sent.status == SUCCESS and sent.confirmed >= sent.pages > 0:
        return A.DELIVERED, None
    if sent.words in _NOT_KNOWN or sent.confirmed > 0 or sent.status == SUCCESS:
        return A.UNKNOWN, None
    if sent.words in _CAUSES:
        return A.FAILED, _CAUSES[sent.words]
    if sent.offered:
        return A.UNKNOWN, None
    if sent.words in _CUT:
        return A.FAILED, Cause.CUT if sent.far else Cause.VOICE_ANSWERED
    return A.FAILED, Cause.TRAINING_FAILED
