"""Orders spoken into a radio channel: selective call, the words, once more, and then we listen.

The call to the gateway's line waits before each over until the key is down and the lead-in is over;
a channel that stays busy fails the attempt, or is overridden by what is urgent. What was spoken is
*sent, no person*: only the order's code in DTMF, or the seat who names who said it, is a proof.
A process that dies lets the key go; what it had begun is *unknown* and never spoken again without
the mark.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import structlog

from bridge.channels.radio import GatewayChannel
from bridge.channels.spoken import SHORTENED, Speech, spoken_text
from bridge.domain.delivery import A, Cause, ChannelKind, Job, Progress, Received, Says
from bridge.domain.unit import VOICE
from bridge.flows.calls import Spawn
from bridge.flows.ports import ActRefused, ActUnknown, FromChannel, Gateways, Keys, RadioSeen
from hardware.radio import selcall

_log = structlog.get_logger(__name__)

OVERS: Final = 2
"""How often an order is spoken."""
WORDS: Final = 100
"""Characters of an order's words in one over: its speech fits into the time-out timer of 60 s."""
LINE_S, KEY_S, SPEECH_S, CODE_S = 12.0, 150.0, 120.0, 60.0
"""Longest waits: the gateway's line, the key (a busy channel among it), an over, the code."""
TRIES_KEPT: Final = 500

_ENDS: Final = {"busy": Cause.BUSY, "time-out": Cause.CUT}


@dataclass(frozen=True, slots=True)
class Line:
    """The way to a radio group: sound line, gateway whose key is pressed, talk group there."""

    dial: str
    gateway: str
    group: str = ""


class _Over(Exception):
    """The attempt ends here."""

    def __init__(self, state: A, cause: Cause | None, words: str) -> None:
        super().__init__(words)
        self.state = state
        self.cause = cause


@dataclass
class _Try:
    job: Job | None = None
    source: str = ""
    events: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    press: str = ""
    on_air: bool = False
    spoken: bool = False
    withdrawn: bool = False
    running: bool = False


class SpokenOrders:
    """Carries jobs whose address is a radio group (`voice:…`)."""

    def __init__(
        self,
        calls: Gateways,
        keys: Keys,
        tell: FromChannel,
        speech: Speech,
        lines: Mapping[str, Line],
        *,
        now: Callable[[], datetime],
        spawn: Spawn,
    ) -> None:
        self._calls = calls
        self._keys = keys
        self._tell = tell
        self._speech = speech
        self._lines = lines
        self._now = now
        self._spawn = spawn
        self._tries: OrderedDict[str, _Try] = OrderedDict()
        self._turns = {line.gateway: asyncio.Lock() for line in lines.values()}

    async def send(self, job: Job, address: str) -> None:
        """Begin; the same attempt again does nothing."""
        one = self._try(job.attempt)
        if one.job is not None:
            return
        one.job, one.source, one.running = job, address, True
        self._spawn(self._carry(one, job), f"speak {job.attempt}")

    async def withdraw(self, attempt: str) -> None:
        """An over on the air is finished; nothing follows it."""
        one = self._tries.get(attempt)
        if one is None:
            await self._end(attempt)
            return
        one.withdrawn = True
        if not one.on_air:
            one.events.put_nowait("withdrawn")

    async def look(self, attempt: str) -> Progress | None:
        """What another life of ours had begun is ended: nobody holds its key any more."""
        one = self._tries.get(attempt)
        if one is not None and (one.running or one.spoken):
            state = A.SENT if one.spoken else A.SENDING
            return Progress(attempt=attempt, state=state, at=self._now())
        await self._end(attempt)
        return None

    def test(self, address: str) -> str:
        """Whether there is a group of that name and tones of that call."""
        try:
            line, _ = self._way(address)
        except (KeyError, ValueError) as error:
            return f"{address}: {error}"
        return "" if line.gateway else f"{address}: gateway"

    # What happens

    def see(self, seen: RadioSeen) -> None:
        """What the switch saw of such a call, in its order. Never blocks."""
        one = self._try(seen.attempt)
        if seen.what == "code":
            self._spawn(self._code(one, seen), f"code {seen.attempt}")
        else:
            one.events.put_nowait(seen.what)

    def passing(self, body: Mapping[str, Any]) -> None:
        """What the port process tells of the key, or that it is lost."""
        for one in self._tries.values():
            if not one.press:
                continue
            if body.get("type") == "lost":
                one.press = ""
                one.events.put_nowait("over:cut")
            elif body.get("type") == "keying" and body.get("id") == one.press:
                if body.get("state") == "ready":
                    one.events.put_nowait("ready")
                else:
                    one.press = ""
                    one.events.put_nowait(f"over:{body.get('why')}")

    async def _code(self, one: _Try, seen: RadioSeen) -> None:
        if seen.learnt:  # what was heard of the order was not seen
            await self._progress(seen.attempt, A.UNKNOWN)
        counted = await self._tell.received(
            Received(
                channel=ChannelKind.RADIO,
                source=one.source or seen.way,
                at=seen.at,
                key=f"dtmf:{seen.attempt}:{seen.code}",
                says=Says.SIGN,
                attempt=seen.attempt,
                code=seen.code,
                words="电台按键签收 / DTMF",
            )
        )
        if counted is not False:  # a person has signed: it is not spoken again
            await self.withdraw(seen.attempt)

    # One attempt

    async def _carry(self, one: _Try, job: Job) -> None:
        try:
            line, tones = await self._sounds(one.source)
            sheet = job.sheet
            if len(sheet.words) > WORDS:
                sheet = replace(sheet, words=sheet.words[:WORDS] + SHORTENED)
            words = await self._speech.say(spoken_text(sheet))
        except (OSError, KeyError, ValueError) as error:
            one.running = False
            await self._progress(job.attempt, A.FAILED, Cause.ERROR, str(error))
            return
        async with self._turns[line.gateway]:
            try:
                await self._overs(one, job, line, tones, words)
            except _Over as over:
                if not one.spoken:
                    await self._progress(job.attempt, over.state, over.cause, str(over))
            except ActRefused as error:
                if not one.spoken:
                    await self._progress(job.attempt, A.FAILED, Cause.CONGESTION, str(error))
            except ActUnknown as error:
                if not one.spoken:
                    await self._progress(job.attempt, A.UNKNOWN, None, str(error))
            finally:
                self._let_go(one)
                one.running = False
                self._spawn(self._end(job.attempt), f"end {job.attempt}")

    async def _overs(self, one: _Try, job: Job, line: Line, tones: str, words: str) -> None:
        if one.withdrawn:
            raise _Over(A.WITHDRAWN, None, "")
        await self._progress(job.attempt, A.SENDING)
        await self._calls.call(job.attempt, line.dial, one.source, tones, words)
        for over in range(1, OVERS + 1):
            await self._expect(one, "waits", LINE_S if over == 1 else CODE_S)
            await self._key(one, job, line, over)
            one.on_air = True
            await self._calls.go(job.attempt)
            await self._expect(one, "spoken", SPEECH_S)
            one.on_air = False
            self._let_go(one)
            if not one.spoken:
                one.spoken = True
                await self._progress(job.attempt, A.SENT, None, "已播发,无人确认")
        await self._expect(one, "ended", CODE_S)

    async def _key(self, one: _Try, job: Job, line: Line, over: int) -> None:
        """The key down, over a busy channel only for what is urgent and has waited."""
        urgent = job.urgent or job.sheet.green
        for override in (False, True) if urgent else (False,):
            one.press = f"order-{job.attempt}-{over}-{int(override)}"
            if not self._keys.press(one.press, line.gateway, line.group, override=override):
                one.press = ""
                raise _Over(A.FAILED, Cause.DEVICE_GONE, "端口进程无应答 / ports away")
            try:
                await self._expect(one, "ready", KEY_S)
            except _Over as ended:
                if ended.cause is Cause.BUSY and urgent and not override:
                    continue
                raise
            return

    async def _expect(self, one: _Try, what: str, seconds: float) -> None:
        """Wait for `what`. Raises _Over for whatever ends the attempt before it."""
        try:
            async with asyncio.timeout(seconds):
                while (event := await one.events.get()) != what:
                    if event == "withdrawn" or (one.withdrawn and not one.on_air):
                        raise _Over(A.WITHDRAWN, None, "")
                    if event == "ended":
                        raise self._ended(one, Cause.CONGESTION, "线路中断 / the line ended")
                    if event.startswith("over:"):
                        why = event.removeprefix("over:")
                        raise self._ended(one, _ENDS.get(why, Cause.DEVICE_GONE), why)
        except TimeoutError:
            raise self._ended(one, Cause.NO_ANSWER, f"{what}: {seconds:.0f} s") from None
        if one.withdrawn and not one.on_air:
            raise _Over(A.WITHDRAWN, None, "")

    @staticmethod
    def _ended(one: _Try, cause: Cause, words: str) -> _Over:
        """On the air part of it may have been heard."""
        if one.on_air:
            return _Over(A.UNKNOWN, None, words)
        return _Over(A.FAILED, cause, words)

    def _let_go(self, one: _Try) -> None:
        if one.press:
            self._keys.release(one.press)
            one.press = ""

    async def _end(self, attempt: str) -> None:
        try:
            await self._calls.hang_up(attempt)
        except (ActRefused, ActUnknown) as error:
            _log.warning("radio.not_ended", attempt=attempt, reason=str(error))

    # Ways and words

    def _way(self, address: str) -> tuple[Line, list[selcall.Tone]]:
        """Raises KeyError for an unknown group, ValueError for a call that is none."""
        _, group, system, digits = (*address.split(":", 3), "", "")[:4]
        if group not in self._lines:
            raise KeyError(f"没有电台组 {group},请核对 [radio_groups] / no such radio group")
        return self._lines[group], selcall_tones(system, digits)

    async def _sounds(self, address: str) -> tuple[Line, str]:
        line, tones = self._way(address)
        if not tones:
            return line, ""
        name = address.removeprefix(VOICE)
        return line, await self._speech.keep(f"selcall {name}", selcall.samples(tones))

    async def _progress(
        self, attempt: str, state: A, cause: Cause | None = None, detail: str = ""
    ) -> None:
        at = self._now()
        told = Progress(attempt=attempt, state=state, at=at, cause=cause, detail=detail)
        await self._tell.progress(told)

    def _try(self, attempt: str) -> _Try:
        one = self._tries.setdefault(attempt, _Try())
        for ident in [i for i, t in self._tries.items() if not t.running][:-TRIES_KEPT]:
            if ident != attempt:
                del self._tries[ident]
        return one


def selcall_tones(system: str, digits: str) -> list[selcall.Tone]:
    """`ZVEI1`, `CCIR` … with an address, `DTMF` with keys, `QC2` with group and number of both
    tones (`1523`: group 1 tone 5, group 2 tone 3); none without a system. Raises ValueError."""
    if not system:
        return []
    if system == "DTMF":
        return selcall.dtmf(digits)
    if system == "QC2":
        if len(digits) != 4 or not digits.isdigit():
            raise selcall.SelcallError(f"{digits!r}: QC2 需要四位 / four digits")
        first, one, second, two = map(int, digits)
        sets = selcall.QUICK_CALL_II
        if first not in sets or second not in sets:
            raise selcall.SelcallError(f"{digits!r}: QC2 组 1–3 / groups 1–3")
        return selcall.two_tone(sets[first][one], sets[second][two])
    if system not in selcall.SYSTEMS:
        known = ", ".join((*selcall.SYSTEMS, "DTMF", "QC2"))
        raise selcall.SelcallError(f"{system!r}: {known}")
    return selcall.five_tone(selcall.SYSTEMS[system], digits)


class RadioWays:
    """The wire `radio`: texts by gateways of networks, and the spoken word by voice gateways."""

    kind = ChannelKind.RADIO

    def __init__(self, text: GatewayChannel, spoken: SpokenOrders) -> None:
        self._text = text
        self._spoken = spoken

    async def send(self, job: Job) -> None:
        """Each try of a row takes the next address of the unit."""
        address = job.addresses[0]
        if address.startswith(VOICE):
            await self._spoken.send(job, address)
        else:
            await self._text.send(job)

    async def withdraw(self, attempt: str) -> None:
        """By whichever way it went."""
        await self._spoken.withdraw(attempt)
        await self._text.withdraw(attempt)

    async def look(self, attempt: str) -> Progress | None:
        """By whichever way it went."""
        return await self._spoken.look(attempt) or await self._text.look(attempt)

    async def test(self, addresses: Sequence[str]) -> str:
        """Groups by their tables, texts by their gateways."""
        for address in [one for one in addresses if one.startswith(VOICE)]:
            if words := self._spoken.test(address):
                return words
        return await self._text.test([one for one in addresses if not one.startswith(VOICE)])
