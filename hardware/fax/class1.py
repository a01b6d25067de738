"""Class 1 driver: carries out what a T.30 session asks for with T.31 commands.

The modem sends and receives single frames and carriers; T.30 is the session's. The only hurry is
in `_receive`: `+FRM` must reach the modem within 110 ms of the frame before (fax sheet, 8.1), so
nothing between two acts waits for anything but the modem.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from hardware.fax import t30_limits as limits
from hardware.fax.hdlc import ADDRESS, CONTROL, CONTROL_FINAL, DLE_ETX, Unshield, checked, shield
from hardware.fax.model import Model
from hardware.fax.modem_at import (
    ABORT_SECONDS,
    CHUNK,
    COMMAND_SECONDS,
    NUMBER,
    ModemAt,
    ModemFault,
    Stopped,
)
from hardware.fax.t30 import (
    Act,
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
    Outcome,
    Quiet,
    Receive,
    Session,
    Speak,
    Train,
    Transmit,
    Untrained,
)
from hardware.fax.t30_frames import parse_frame
from hardware.fax.watch import FrameSeen, Watch, unwatched
from hardware.fax.wire import ModemWire, WireGone

DATA_GAP_SECONDS: Final = 6.0
"""Without an octet for so long a carrier is over, whatever the modem says (T.31: 5 s)."""
RETRY_PAUSE: Final = 0.05
"""Between two +FRH that were answered at once by NO CARRIER."""
FCERROR_PAUSE: Final = 0.2


class _Line(Enum):
    """What was on the telephone line last: decides on the pause before the next carrier."""

    NOTHING = 0
    HEARD = 1
    FAST = 2
    SPOKEN = 3


class Class1(ModemAt):
    """One modem in Class 1. One call at a time; `cancel` may come from the same loop."""

    def __init__(
        self, wire: ModemWire, model: Model, watch: Watch = unwatched, fax_class: str = "1"
    ) -> None:
        super().__init__(wire, model)
        self._watch = watch
        self._class = fax_class
        self._connected = ""
        """`dial`, `answer` or `frh`: the modem is already doing what the next act begins with."""
        self._line = _Line.NOTHING

    async def initialise(self) -> None:
        """From whatever state to ready for a call. Raises ModemFault, WireGone."""
        await self.resynchronise()
        for command in self._model.init:
            await self._command(command)
        await self._must(f"AT+FCLASS={self._class}")
        for command in self._model.after_class:
            await self._command(command)

    async def dial(self, number: str, session: Session) -> Outcome:
        """Call and play the session to its end. Raises ValueError for what is no number."""
        if not NUMBER.fullmatch(number):
            raise ValueError(f"号码 {number!r} 不能拨 / only digits, *, # and , can be dialled")
        return await self._call(f"ATDT{number}", self._model.answer_seconds + 15.0, session)

    async def answer(self, session: Session) -> Outcome:
        """Take the ringing call and play the session to its end."""
        return await self._call("ATA", COMMAND_SECONDS + 10.0, session)

    # A call

    async def _call(self, command: str, seconds: float, session: Session) -> Outcome:
        try:
            event = await self._open(command, seconds)
            act = self._tell(session, event)
            while act is not None and not isinstance(act, HangUp):
                act = await self._carry_out(act, session)
            self._connected = ""
            await self.on_hook()
        except (WireGone, ModemFault):
            self._tell(session, Lost(Cause.MODEM))
        assert session.outcome is not None  # the act after the last is HangUp
        return session.outcome

    async def _open(self, command: str, seconds: float) -> Event:
        """Dial or answer; the event that follows for the session."""
        self._cancelled = False
        self._line = _Line.NOTHING
        try:
            code = await self._command(command, seconds, stoppable=True)
        except Stopped:
            await self._abort()
            return Cancelled()
        if code == "CONNECT":
            self._connected = "dial" if command.startswith("ATD") else "answer"
            return Answered()
        if not code:
            await self._abort()
            return Lost(Cause.NO_ANSWER)
        return Lost(self.dialled(code))

    async def _carry_out(self, act: Act, session: Session) -> Act | None:
        """One act; the next one."""
        if self._cancelled and self._connected != "dial":
            self._cancelled = False
            return self._tell(session, Cancelled())
        try:
            match act:
                case Speak(frames):
                    return self._tell(session, await self._speak(frames))
                case Listen(seconds):
                    return await self._listen(seconds, session)
                case Train(rate):
                    zeros = bytes(rate.tcf_octets)
                    return self._tell(session, await self._transmit(rate.training, rate.bps, zeros))
                case Transmit(rate, long, octets):
                    number = rate.training if long else rate.data
                    return self._tell(session, await self._transmit(number, rate.bps, octets))
                case Receive(rate, long, seconds):
                    number = rate.training if long else rate.data
                    return await self._receive(number, seconds, session)
                case HangUp():
                    return None
        except Stopped:
            self._cancelled, self._connected = False, ""
            if isinstance(act, Train | Transmit):
                await self._wire.write(DLE_ETX)
                await self._result(ABORT_SECONDS)
            else:
                await self._abort()
            self._line = _Line.FAST
            return self._tell(session, Cancelled())

    def _tell(self, session: Session, event: Event) -> Act | None:
        """Give the session an event; reports go to the watcher, the act is returned."""
        act: Act | None = None
        for item in session.step(event, self._wire.now()):
            if isinstance(item, Speak | Listen | Train | Transmit | Receive | HangUp):
                act = item
            else:
                self._watch(item)
        return act

    # Acts

    async def _speak(self, frames: tuple[bytes, ...]) -> Event:
        if self._connected == "answer":
            code = "CONNECT"
        else:
            if self._line in (_Line.FAST, _Line.SPOKEN):
                await self._pause(self._model.pause_before_v21)
            code = await self._command("AT+FTH=3")
        self._connected = ""
        self._line = _Line.SPOKEN
        for octets in frames:
            if code != "CONNECT":
                return self._gone(code)
            frame = parse_frame(octets)
            if frame is not None:
                self._watch(FrameSeen(frame, sent=True))
            await self._wire.write(shield(octets) + DLE_ETX)
            code = await self._result(limits.FRAME_SECONDS + COMMAND_SECONDS)
        return Done() if code == "OK" else self._gone(code)

    async def _listen(self, seconds: float, session: Session) -> Act | None:
        until = self._wire.now() + seconds
        while True:
            left = until - self._wire.now()
            if self._connected in ("dial", "frh"):
                code = "CONNECT"
            elif left <= 0:
                return self._tell(session, Quiet())
            else:
                code = await self._command("AT+FRH=3", left, stoppable=True)
            self._connected = ""
            if code == "CONNECT":
                event = await self._frame(max(left, limits.FRAME_SECONDS))
                if event is None:
                    continue
                until = max(until, self._wire.now())
                act = self._tell(session, event)
                if act is not None:
                    return act
                until = max(until, self._wire.now() + limits.FRAME_SECONDS)
            elif not code:
                await self._abort()
                return self._tell(session, Quiet())
            elif code in ("ERROR", "BUSY", "NO DIALTONE"):
                return self._tell(session, self._gone(code))
            else:  # NO CARRIER, +FCERROR, a stray OK: another carrier ended; T2 or T4 goes on
                pause = FCERROR_PAUSE if code == "+FCERROR" else RETRY_PAUSE
                await self._rest(min(pause, max(0.0, until - self._wire.now())))

    async def _frame(self, seconds: float) -> Event | None:
        """One frame after CONNECT; None when the carrier ended without one."""
        until = self._wire.now() + seconds
        first = await self._octets(seconds)
        if not first:
            await self._abort()
            return None
        if first[:1] in (b"\r", b"\n"):  # a result code instead of a frame
            self._buffer[:0] = first
            code = await self._result(ABORT_SECONDS)
            return Lost(Cause.LINE_CUT) if code in ("", "ERROR") else None
        unshield = Unshield()
        octets = unshield.feed(first)
        while not unshield.ended:
            more = await self._octets(until - self._wire.now())
            if not more:
                await self._abort()
                return Garbled()
            octets += unshield.feed(more)
        self._buffer[:0] = unshield.rest
        code = await self._result(ABORT_SECONDS)
        self._line = _Line.HEARD
        return self._judge(octets, code)

    def _judge(self, octets: bytes, code: str) -> Event:
        """Whether a frame is good: by its check sequence, or by the modem's word for it."""
        if octets[:1] and octets[0] in (CONTROL, CONTROL_FINAL):
            octets = bytes((ADDRESS,)) + octets  # some firmware loses the first octet
        body = checked(octets) if self._model.fcs_octets else None
        if body is None and code == "OK":
            body = octets[: len(octets) - self._model.fcs_octets]
        frame = None if body is None else parse_frame(body)
        if body is None or frame is None:
            return Garbled()
        self._watch(FrameSeen(frame, sent=False))
        return Heard(body)

    async def _transmit(self, number: int, bps: int, octets: bytes) -> Event:
        await self._pause(self._model.pause)
        code = await self._command(f"AT+FTM={number}")
        self._line = _Line.FAST
        if code != "CONNECT":
            return self._gone(code)
        if self._model.first_octet_delay_s:
            await self._rest(self._model.first_octet_delay_s)
        started = self._wire.now()
        for at in range(0, len(octets), CHUNK):
            ahead = at * 8 / bps - (self._wire.now() - started)
            if ahead > self._model.ahead_s:
                await self._rest(ahead - self._model.ahead_s)
            if self._cancelled:
                raise Stopped
            if self._lost_in_data():
                return Lost(Cause.LINE_CUT)
            await self._wire.write(shield(octets[at : at + CHUNK]))
        await self._wire.write(DLE_ETX)
        longest = len(octets) * 8 / bps + limits.FRAME_SECONDS
        code = await self._result(longest - (self._wire.now() - started) + COMMAND_SECONDS)
        return Done() if code == "OK" else self._gone(code)

    async def _receive(self, number: int, seconds: float, session: Session) -> Act | None:
        until = self._wire.now() + seconds
        if self._model.before_frm:
            await self._command(self._model.before_frm)
        while True:
            left = until - self._wire.now()
            code = await self._command(f"AT+FRM={number}", left, stoppable=True)
            if code == "NO CARRIER" and self._wire.now() < until:
                continue  # no carrier yet
            break
        if code == "+FRH:3":  # the sender is on V.21: its frame is next
            if await self._result(ABORT_SECONDS) == "CONNECT":
                self._connected = "frh"
            return self._tell(session, Untrained())
        if code == "ERROR":
            return self._tell(session, self._gone(code))
        if code != "CONNECT":
            if not code:
                await self._abort()
            return self._tell(session, Untrained())
        self._line = _Line.FAST
        unshield = Unshield()
        while not unshield.ended:
            more = await self._octets(DATA_GAP_SECONDS)
            if not more:
                await self._abort()
                break
            act = self._tell(session, Octets(unshield.feed(more)))
            if act is not None:  # the session has had enough
                await self._abort()
                return act
        self._buffer[:0] = unshield.rest
        if unshield.ended:
            await self._result(ABORT_SECONDS)  # NO CARRIER
        return self._tell(session, CarrierEnded())

    # The modem

    def _gone(self, code: str) -> Event:
        """Another code than the one a command wants: the call has ended, or the modem is ill."""
        ended = code in ("NO CARRIER", "ERROR", "BUSY", "NO DIALTONE", "NO ANSWER")
        return Lost(Cause.LINE_CUT if ended else Cause.MODEM)

    async def _pause(self, command: str) -> None:
        if command:
            await self._command(command)
