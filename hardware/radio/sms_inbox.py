"""What an SMS modem received: reports, and texts that stay there until their owner has them."""

from __future__ import annotations

import asyncio
from typing import Final

from hardware.at import Command, End, fields
from hardware.at_session import AtSession
from hardware.radio import sms_pdu
from hardware.radio.events import Emit, RawIn, Stage, TextIn, UnreadableIn, Why
from hardware.radio.joining import Joined, Joiner
from hardware.radio.outstanding import Outstanding
from hardware.radio.sms_pdu import Deliver, SmsError, StatusReport
from hardware.radio.texts import clean_incoming

ANSWER_S: Final = 5.0


class SmsInbox:
    """The incoming half of one modem."""

    def __init__(self, session: AtSession, book: Outstanding, emit: Emit) -> None:
        self._session = session
        self._book = book
        self._emit = emit
        self._joiner = Joiner(keep_s=86_400)
        self._to_read: list[int] = []
        self._to_delete: list[int] = []
        self._reading: set[int] = set()
        self._work = asyncio.Event()

    def acknowledge(self, token: str) -> None:
        """A received message is stored: the modem may delete it."""
        self._to_delete += [int(one) for one in token.split("+")]
        self._work.set()

    def stored_at(self, values: list[str]) -> None:
        """The modem has put a message somewhere (values of +CMTI or +CDSI)."""
        if len(values) == 2 and values[1].isdecimal() and len(values[1]) < 5:
            self._to_read.append(int(values[1]))
            self._work.set()

    def message(self, digits: str, index: int | None) -> None:
        """A message came; `index`: where the modem keeps it."""
        try:
            message = sms_pdu.decode(digits)
        except SmsError as error:
            token = None if index is None else str(index)
            self._emit(UnreadableIn("", digits.encode(), str(error), token))
            return
        if isinstance(message, StatusReport):
            self._report(message)
            if index is not None:
                self.acknowledge(str(index))
        elif isinstance(message, Deliver):
            self._text(message, index)

    def _report(self, report: StatusReport) -> None:
        address, status = report.number, report.status
        if status == 0:
            found = self._book.reported(address, report.reference, Stage.DELIVERED)
        elif status < 0x20:
            found = self._book.reported(address, report.reference, Stage.SENT)
        elif status < 0x40:
            found = self._book.stored(address, report.reference)
        else:
            words = f"TP-ST {status:02X}"
            found = self._book.reported(
                address, report.reference, Stage.FAILED, why=Why.OFFLINE, detail=words
            )
        if found is None:
            self._emit(
                RawIn(address, bytes((report.reference,)), "report for an unknown reference")
            )
        else:
            for delivery in found:
                self._emit(delivery)

    def _text(self, message: Deliver, index: int | None) -> None:
        token = None if index is None else str(index)
        if message.text is None:
            self._emit(UnreadableIn(message.number, b"", "8-bit data", token))
        elif message.part is not None:
            part = message.part
            for joined in self._joiner.add(
                message.number, part.group, part.total, part.number, message.text, _now(), token
            ):
                self._joined(joined)
        else:
            self._joined(Joined(message.number, message.text, True, (token,) if token else ()))

    def _joined(self, joined: Joined) -> None:
        clean = clean_incoming(joined.text)
        token = "+".join(joined.tokens) or None
        if clean is None:
            octets = joined.text.encode("utf-8", "replace")
            self._emit(UnreadableIn(joined.source, octets, "control characters", token))
        else:
            self._emit(TextIn(joined.source, "", clean, token, whole=joined.whole))

    async def list_stored(self) -> None:
        """Messages that came while nobody was here."""
        answer = await self._session.send(
            Command(text="AT+CMGL=4", free=True, timeout_s=ANSWER_S * 2)
        )
        for line in answer.lines:
            if line.startswith("+CMGL:"):
                index = fields(line)[0]
                self.stored_at(["", index])

    async def run(self, ready: asyncio.Event) -> None:
        """Read what came and delete what was stored, between our own messages; until cancelled."""
        while True:
            await self._work.wait()
            await ready.wait()
            self._work.clear()
            for index in self._take(self._to_delete):
                await self._session.send(Command(text=f"AT+CMGD={index}", timeout_s=ANSWER_S))
                self._reading.discard(index)
            for index in self._take(self._to_read):
                if index in self._reading:
                    continue
                self._reading.add(index)
                answer = await self._session.send(
                    Command(text=f"AT+CMGR={index}", free=True, timeout_s=ANSWER_S)
                )
                if answer.end is End.OK and len(answer.lines) == 2:
                    self.message(answer.lines[1], index)
                elif answer.end is not End.OK:
                    self._reading.discard(index)

    @staticmethod
    def _take(numbers: list[int]) -> list[int]:
        taken = list(dict.fromkeys(numbers))
        numbers.clear()
        return taken


def _now() -> float:
    return asyncio.get_running_loop().time()
