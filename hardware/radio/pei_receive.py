"""What a TETRA terminal says by itself, made into events and into replies that we owe. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hardware.at import Unsolicited
from hardware.radio import lip, sds
from hardware.radio.dialect import PeiDialect
from hardware.radio.events import (
    Delivery,
    EmergencyIn,
    LocationIn,
    RadioEvent,
    RawIn,
    Stage,
    StatusIn,
    TextIn,
    UnreadableIn,
    Why,
)
from hardware.radio.joining import Joined, Joiner, Repeats
from hardware.radio.outstanding import Outstanding
from hardware.radio.pei_calls import PeiCalls
from hardware.radio.pei_lines import STATUS as STATUS_SERVICE
from hardware.radio.pei_lines import LineError, Sds, parse_call, parse_sds, parse_sent
from hardware.radio.texts import clean_incoming

NETWORK_SSI: Final = "16777213"
"""Sender of the network's own acknowledgement of a status (section 10)."""
CALL_LINES: Final = (
    "+CTICN:",
    "+CTOCP:",
    "+CTCC:",
    "+CTXG:",
    "+CDTXC:",
    "+CTXI:",
    "+CTXW:",
    "+CTCR:",
)
MAX_ACKNOWLEDGED: Final = 512
NETWORK_BUSY: Final = (0x40, 0x60)


@dataclass(frozen=True, slots=True)
class Reply:
    """A PDU that we owe to `target`."""

    target: str
    pdu: bytes


@dataclass(slots=True)
class Heard:
    """What a line meant."""

    events: list[RadioEvent] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)


class PeiReceiver:
    """Reads unsolicited lines. `book` learns of reports, `calls` of calls."""

    def __init__(self, dialect: PeiDialect, book: Outstanding, calls: PeiCalls) -> None:
        self._dialect = dialect
        self._book = book
        self._calls = calls
        self._joiner = Joiner()
        self._repeats = Repeats(dialect.repeat_window_s)
        self._acknowledged: dict[str, None] = {}

    def line(self, said: Unsolicited, now: float) -> Heard:
        """What the line means; one of another shape becomes RawIn."""
        heard = Heard(events=[self._text(joined) for joined in self._joiner.expire(now)])
        try:
            if said.line.startswith("+CTSDSR:"):
                self._sds(parse_sds(said.line, said.second or ""), now, heard)
            elif said.line.startswith("+CMGS:"):
                sent = parse_sent(said.line)
                if sent.status in (4, 5):
                    heard.events += self._book.progress(sent.instance, sent.status == 4)
            elif said.line.startswith(CALL_LINES):
                self._call(said.line, heard)
        except LineError as error:
            heard.events.append(RawIn("", f"{said.line} {said.second or ''}".encode(), str(error)))
        return heard

    def _call(self, line: str, heard: Heard) -> None:
        change = self._calls.line(parse_call(line))
        if change is None:
            return
        heard.events.append(change)
        if change.emergency and change.state == "ringing":
            heard.events.append(EmergencyIn(change.peer, "call"))

    def _sds(self, came: Sds, now: float, heard: Heard) -> None:
        if came.service == STATUS_SERVICE and len(came.data) == 2:
            self._status(came, int.from_bytes(came.data, "big"), heard)
        elif came.cut:
            heard.events.append(_unread(came, sds.decode(came.data), "shorter than announced"))
        else:
            self._pdu(came, now, heard)

    def _status(self, came: Sds, value: int, heard: Heard) -> None:
        short = sds.short_report(value)
        if short is not None:
            kind, reference = short
            stage = {sds.Short.RECEIVED: Stage.DELIVERED, sds.Short.CONSUMED: Stage.READ}.get(kind)
            found = self._book.reported(
                came.source,
                reference,
                stage or Stage.FAILED,
                why=None if stage else Why.REFUSED,
                detail="" if stage else kind.name.lower().replace("_", " "),
            )
            self._known(found, came, heard)
        elif value == sds.EMERGENCY_STATUS:
            heard.events.append(EmergencyIn(came.source, "status"))
        else:
            network = came.source == NETWORK_SSI and value in (0xFE00, 0xFE01)
            heard.events.append(StatusIn(came.source, came.target, value, network))

    def _pdu(self, came: Sds, now: float, heard: Heard) -> None:
        pdu = sds.decode(came.data)
        if isinstance(pdu, sds.Report):
            self._report(came, pdu, heard)
            return
        if isinstance(pdu, sds.Ack):
            return
        position = lip.decode_short(pdu.data) if _is_lip(pdu) else None
        if position is not None:
            heard.events.append(LocationIn(came.source, position))
            if position.emergency:
                heard.events.append(EmergencyIn(came.source, "location"))
            return
        token = _token(came.source, pdu, self._dialect.reports_by)
        if self._repeats.seen(came.source, came.data, now):
            if token in self._acknowledged:
                heard.replies += replies_to(token)
            return
        text = sds.text_of(pdu)
        clean = None if text is None else clean_incoming(text.text)
        if text is None or clean is None:
            why = "not a text of ours" if text is None else "control characters"
            heard.events.append(_unread(came, pdu, why, token))
        elif text.part is not None:
            part = text.part
            joined = self._joiner.add(
                came.source, part.group, part.total, part.number, text.text, now, token or None
            )
            heard.events += map(self._text, joined)
        else:
            immediate = (
                pdu.protocol in (sds.IMMEDIATE_TEXT, sds.SIMPLE_IMMEDIATE_TEXT)
                if isinstance(pdu, sds.Transfer | sds.Simple)
                else False
            )
            heard.events.append(TextIn(came.source, came.target, clean, token or None, immediate))

    def _text(self, joined: Joined) -> RadioEvent:
        clean = clean_incoming(joined.text)
        token = "+".join(joined.tokens) or None
        if clean is None:
            octets = joined.text.encode("utf-8", "replace")
            return UnreadableIn(joined.source, octets, "control characters", token)
        return TextIn(joined.source, "", clean, token, whole=joined.whole)

    def _report(self, came: Sds, report: sds.Report, heard: Heard) -> None:
        if report.wants_ack:
            answer = sds.Ack(report.protocol, 1, report.reference)
            heard.replies.append(Reply(came.source, sds.encode(answer)))
        meaning = sds.status_class(report.status)
        words = f"SDS status {report.status:02X}"
        if meaning is sds.StatusClass.TEMPORARY:
            found = self._book.stored(came.source, report.reference)
        elif meaning is sds.StatusClass.SUCCESS:
            stage = Stage.READ if sds.is_consumed(report.status) else Stage.DELIVERED
            found = self._book.reported(came.source, report.reference, stage)
        elif meaning is sds.StatusClass.FAILED:
            found = self._book.reported(
                came.source,
                report.reference,
                Stage.FAILED,
                why=failure(report.status),
                detail=words,
            )
        else:
            found = []
            heard.events.append(RawIn(came.source, came.data, words))
        self._known(found, came, heard)

    @staticmethod
    def _known(found: list[Delivery] | None, came: Sds, heard: Heard) -> None:
        if found is None:
            heard.events.append(RawIn(came.source, came.data, "report for an unknown reference"))
        else:
            heard.events += found

    def acknowledge(self, token: str) -> list[Reply]:
        """The received-reports that are owed once a text is stored; remembered for repeats."""
        for one in token.split("+"):
            self._acknowledged[one] = None
            if len(self._acknowledged) > MAX_ACKNOWLEDGED:
                del self._acknowledged[next(iter(self._acknowledged))]
        return replies_to(token)

    @staticmethod
    def consumed(token: str) -> list[Reply]:
        """The consumed-reports that are owed when a person has opened the text."""
        return replies_to(token, consumed=True)


def _unread(came: Sds, pdu: sds.Pdu, why: str, token: str = "") -> RadioEvent:
    """Of texts somebody wrote them; other data are for other programs."""
    if sds.is_text(pdu):
        return UnreadableIn(came.source, came.data, why, token or None)
    return RawIn(came.source, came.data, why)


def _is_lip(pdu: sds.Pdu) -> bool:
    return isinstance(pdu, sds.Simple) and pdu.protocol == sds.LIP


def _token(source: str, pdu: sds.Pdu, reports_by: str) -> str:
    """Who is owed which report; empty where none."""
    if not isinstance(pdu, sds.Transfer) or pdu.want is sds.Want.NONE or reports_by != "te":
        return ""
    return f"{source}.{pdu.protocol:02X}.{pdu.reference:02X}.{int(pdu.want)}"


def replies_to(token: str, *, consumed: bool = False) -> list[Reply]:
    """The reports of a token, one a part."""
    made: list[Reply] = []
    for one in token.split("+"):
        source, protocol, reference, want = one.split(".")
        wanted = sds.Want.CONSUMED if consumed else sds.Want.RECEIVED
        if int(want) & wanted:
            report = sds.Report(int(protocol, 16), 2 if consumed else 0, int(reference, 16))
            made.append(Reply(source, sds.encode(report)))
    return made


def failure(status: int) -> Why:
    """What a failed delivery status means for the ladder (9.4)."""
    if status in (0x48, 0x49, 0x4B, 0x4F, 0x5A):
        return Why.OFFLINE
    if status in (0x4C, 0x52):
        return Why.QUEUE_FULL
    if status in (0x40, 0x42, 0x5E, 0x5F):
        return Why.CONGESTION
    if status in (0x46, 0x47, 0x56, 0x57, 0x58):
        return Why.BAD_ADDRESS
    if status in (0x4D, 0x54):
        return Why.TOO_LONG
    return Why.REFUSED
