"""Class 2, 2.0 and 2.1 driver: the modem keeps T.30, we give and take pages.

The dialects are data (`class2_dialect.py`), firmware's habits too (`models/*.toml`). Every wait
takes: the expected code, another result code, a hang-up report, or nothing in time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hardware.fax import t30_limits as limits
from hardware.fax.bits import REVERSED
from hardware.fax.class2_at import Class2At, HungUp
from hardware.fax.class2_dialect import (
    DIALECTS,
    EOM,
    EOP,
    GOOD_PAGE,
    MPS,
    PAGE_MARKS,
    chosen_of,
    hang_up_cause,
    parse_parameters,
    rate_number,
)
from hardware.fax.hdlc import DLE_ETX
from hardware.fax.model import Model
from hardware.fax.modem_at import NUMBER, ModemFault
from hardware.fax.page import MAX_LINES, WIDTH, Page, PageError
from hardware.fax.received import Keep, ReceivedPage, good_enough, keep_nothing
from hardware.fax.t4 import T4Decoder
from hardware.fax.t30 import (
    Agreed,
    Cause,
    Ended,
    Outcome,
    PageAgain,
    PageConfirmed,
    PageStarted,
    Result,
)
from hardware.fax.t30_frames import Chosen, Coding, clean_identity, encode_identity
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.fax.watch import Watch, unwatched
from hardware.fax.wire import ModemWire, WireGone

TRAIN_SECONDS: Final = 45.0
"""+FDT to CONNECT: training down to 2400 included."""
ANSWER_SECONDS: Final = 90.0
"""+FET to page status: three tries of the modem, RNR waits."""
XON: Final = b"\x11"


class Class2:
    """One modem in Class 2, 2.0 or 2.1. One call at a time."""

    def __init__(
        self, wire: ModemWire, model: Model, watch: Watch = unwatched, fax_class: str = "2.0"
    ) -> None:
        self._wire = wire
        self._model = model
        self._watch = watch
        self._dialect = DIALECTS[fax_class]
        self._class = fax_class
        self._at = Class2At(wire, model)
        self._pages = 0
        self._sent = self._copies = False
        self._far_id = ""
        self._chosen: Chosen | None = None

    def cancel(self) -> None:
        """End the call; its outcome still tells what became of it."""
        self._at.cancel()

    async def wait_ring(self, seconds: float) -> bool:
        """Whether a call came in within so many seconds. Raises WireGone."""
        return await self._at.wait_ring(seconds)

    async def initialise(self) -> None:
        """From whatever state to ready for a call. Raises ModemFault, WireGone."""
        await self._at.resynchronise()
        for command in self._model.init:
            await self._at.ask(command)
        if await self._at.code(f"AT+FCLASS={self._class}") != "OK":
            raise ModemFault(f"AT+FCLASS={self._class} 被拒绝 / refused")
        for command in (*self._model.after_class, *(f"AT{c}" for c in self._dialect.setup)):
            await self._at.ask(command)

    # Sending

    async def send(self, number: str, pages: Sequence[Page], settings: SenderSettings) -> Outcome:
        """Call and send. Raises ValueError for what is no number, PageError for no page."""
        if not NUMBER.fullmatch(number):
            raise ValueError(f"号码 {number!r} 不能拨 / only digits, *, # and , can be dialled")
        if not pages or any(page.width != WIDTH or not page.height for page in pages):
            raise PageError(f"页宽应为 {WIDTH} 点 / pages must be {WIDTH} pels wide, not empty")
        self._begin()
        try:
            await self._announce(settings.identity, settings.max_bps, pages[0].fine)
            cause = await self._dial(number)
            if cause is None:
                cause = await self._send_pages(pages)
        except HungUp:
            cause = self._why()
        except (WireGone, ModemFault):
            cause = Cause.MODEM
        if cause is not Cause.MODEM:
            await self._hang_up()
        return self._finish(len(pages), cause)

    async def _announce(self, identity: str, max_bps: int, fine: bool) -> None:
        encode_identity(identity)  # refuses what an AT command must not contain
        await self._at.ask(f'AT+{self._dialect.identity}="{identity}"')
        wanted = f"{int(fine)},{rate_number(max_bps)},0,2,0,0,0,0"
        await self._at.ask(f"AT+{self._dialect.capabilities}={wanted}")

    async def _dial(self, number: str) -> Cause | None:
        """Why there is no fax connection; None when there is one."""
        code = await self._at.code(f"ATDT{number}", self._model.answer_seconds + limits.T1)
        self._note()
        if code == "OK" and self._dialect.connected in self._at.reports:
            return None
        if self._dialect.hung_up in self._at.reports:
            return self._why()
        if code in ("", "OK"):
            return Cause.NO_ANSWER if not code else Cause.NO_FAX
        return self._at.dialled(code)

    async def _send_pages(self, pages: Sequence[Page]) -> Cause:
        tries = 0
        while self._pages < len(pages):
            number = self._pages
            page = pages[number]
            last = number + 1 == len(pages)
            end = EOP if last else MPS if pages[number + 1].fine == page.fine else EOM
            good = await self._send_page(page, end)
            if good:
                self._pages, self._sent, tries = self._pages + 1, False, 0
                self._watch(PageConfirmed(self._pages))
                continue
            self._copies, self._sent = True, False
            tries += 1
            if tries >= limits.PAGE_TRIES:
                return Cause.REJECTED
            if self._dialect.hung_up in self._at.reports:
                raise HungUp
            self._watch(PageAgain(number + 1, "RTN"))
        return Cause.DONE

    async def _send_page(self, page: Page, end: int) -> bool:
        """One page; whether it was confirmed. Raises HungUp when it is not known."""
        code = await self._at.code("AT+FDT", TRAIN_SECONDS)
        self._note()
        if code != "CONNECT":
            raise HungUp
        await self._at.wait_octet(XON, 0.0 if self._dialect.page_marks else self._model.xon_wait_s)
        chosen = self._chosen or chosen_of("")
        shown = page if chosen.fine else page.coarse()
        octets = shown.coded(chosen.coding, rtc=False)
        self._watch(PageStarted(self._pages + 1, len(octets)))
        self._sent = True
        await self._at.send_data(octets, chosen.rate.bps)
        line_time = len(octets) * 8 / chosen.rate.bps
        patience = 1.5 * line_time + ANSWER_SECONDS
        if self._dialect.page_marks:
            code = await self._at.after(PAGE_MARKS[end], patience)
            self._note()
            status = self._at.reports.get("FPS", "")
            if code == "OK" and self._hang_up_code() in (None, 0):
                return not status or _status(status) in GOOD_PAGE
            if code == "ERROR" and self._dialect.hung_up not in self._at.reports:
                return False
            raise HungUp
        if await self._at.after(DLE_ETX, patience) != "OK":
            raise HungUp
        code = await self._at.code(f"AT+FET={end}", ANSWER_SECONDS)
        self._note()
        status = self._at.reports.get("FPTS", "")
        if not status and code == "OK" and self._hang_up_code() is None:
            await self._at.linger(2.0)  # some firmware says OK before +FPTS
            status = self._at.reports.get("FPTS", "")
        if status:
            return _status(status) in GOOD_PAGE
        if code == "OK" and end == EOP and self._hang_up_code() == 0:
            return True  # a normal end after EOP: accepted
        raise HungUp

    # Receiving

    async def receive(
        self, settings: ReceiverSettings, keep: Keep = keep_nothing
    ) -> tuple[Outcome, tuple[ReceivedPage, ...]]:
        """Answer the ringing call and take its pages."""
        self._begin()
        pages: list[ReceivedPage] = []
        whole = False
        try:
            await self._announce(settings.identity, max(r.bps for r in settings.rates), True)
            code = await self._at.code("ATA", self._model.answer_seconds + limits.T1)
            self._note()
            if code != "OK" or self._dialect.connected not in self._at.reports:
                raise HungUp
            while not whole:
                page, end = await self._receive_page(keep)
                pages.append(page)
                if end is None:
                    raise HungUp
                whole = end == EOP and page.confirmed
                if page.confirmed:
                    self._watch(PageConfirmed(len(pages)))
                if len(pages) >= limits.MAX_PAGES:
                    break
            cause = Cause.DONE if whole else Cause.TOO_LARGE
            if whole:
                await self._at.code("AT+FDR", TRAIN_SECONDS)  # sends the answer to EOP
        except HungUp:
            cause = self._why()
        except (WireGone, ModemFault):
            cause = Cause.MODEM
        if cause is not Cause.MODEM:
            await self._hang_up()
        self._pages = sum(page.confirmed for page in pages)
        result = Result.DELIVERED if whole else Result.NOT_DELIVERED
        outcome = Outcome(result, cause, self._pages, False, self._chosen, self._far_id)
        self._watch(Ended(outcome))
        return outcome, tuple(pages)

    async def _receive_page(self, keep: Keep) -> tuple[ReceivedPage, int | None]:
        """The next page, kept where it is good, and its +FET; None when the call ended in it. The
        modem confirms it with the next command. Raises HungUp."""
        code = await self._at.code("AT+FDR", TRAIN_SECONDS)
        self._note()
        if code != "CONNECT":
            raise HungUp
        trigger = self._dialect.trigger or self._model.receive_trigger
        octets = await self._at.take_data(bytes((trigger,)), limits.MAX_PAGE_OCTETS)
        await self._at.after(b"", TRAIN_SECONDS)
        self._note()
        chosen = self._chosen or chosen_of("")
        page = self._judge(octets, chosen)
        end = parse_parameters(self._at.reports.get("FET", ""))[0]
        if end is None:
            return replace(page, confirmed=False), None
        if page.confirmed:
            try:
                keep(page, self._far_id)
            except OSError:
                page = replace(page, confirmed=False)
        if not page.confirmed:
            await self._at.code(f"AT{self._dialect.overrule}")
        return page, end

    def _judge(self, octets: bytes, chosen: Chosen) -> ReceivedPage:
        """The page in the bit order that makes lines of it."""
        if chosen.coding is Coding.MMR:
            data = octets.translate(REVERSED) if self._model.reversed_receive else octets
            return ReceivedPage(chosen, confirmed=True, octets=data)
        orders = [octets, octets.translate(REVERSED)]
        decoders = []
        for data in orders:
            decoder = T4Decoder(chosen.width, chosen.coding is Coding.MR, MAX_LINES)
            decoder.feed(data + bytes(2) + b"\x80")  # ends the last line
            decoders.append(decoder)
        best = max(decoders, key=lambda one: len(one.lines) - 2 * one.bad_lines)
        return ReceivedPage(
            chosen, good_enough(best), lines=tuple(best.lines), bad_lines=best.bad_lines
        )

    # Both

    def _begin(self) -> None:
        self._pages = 0
        self._sent = self._copies = False
        self._far_id, self._chosen = "", None
        self._at.forget()

    def _note(self) -> None:
        """What the reports of the last command tell of the far end and of the settings."""
        reports = self._at.reports
        for name in (self._dialect.called_id, self._dialect.sender_id):
            text = reports.get(name, "").strip().strip('"').strip()
            self._far_id = clean_identity(text) or self._far_id
        if (settings := reports.get(self._dialect.settings)) is not None:
            self._chosen = chosen_of(settings)
            self._watch(Agreed(self._chosen, self._far_id))

    def _hang_up_code(self) -> int | None:
        text = self._at.reports.get(self._dialect.hung_up, "").strip()
        try:
            return int(text, self._dialect.hung_up_base)
        except ValueError:
            return None

    def _why(self) -> Cause:
        code = self._hang_up_code()
        if self._at.cancelled:
            return Cause.CANCELLED
        if code is None:
            return Cause.NO_PAGE_RESPONSE if self._sent else Cause.LINE_CUT
        cause = hang_up_cause(code)[0]
        return Cause.LINE_CUT if cause is Cause.DONE else cause

    def _finish(self, total: int, cause: Cause) -> Outcome:
        """A page that was sent and neither confirmed nor refused is unknown."""
        missing = total - self._pages
        if missing == 0:
            result, cause = Result.DELIVERED, Cause.DONE
        else:
            result = Result.UNCONFIRMED if missing == 1 and self._sent else Result.NOT_DELIVERED
        copies = bool(missing) and (self._sent or self._copies)
        outcome = Outcome(result, cause, self._pages, copies, self._chosen, self._far_id)
        self._watch(Ended(outcome))
        return outcome

    async def _hang_up(self) -> None:
        """On hook; the outcome stands, whatever the modem does now."""
        with contextlib.suppress(WireGone, ModemFault):
            if self._hang_up_code() is None:
                await self._at.abort_session("AT+FKS" if self._dialect.page_marks else "AT+FK")
            await self._at.on_hook()


def _status(text: str) -> int:
    """The first number of a page status; 2 (refused) for what is none."""
    first = parse_parameters(text)[0]
    return 2 if first is None else first
