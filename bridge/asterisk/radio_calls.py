"""Orders spoken into a radio channel, carried out by AMI: our call to the gateway's sound line
(`dialplans/order.conf`, radio-order). The channel's id is made of the attempt's, so Asterisk itself
refuses a repeat. Decides nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from bridge.asterisk.cel import Row
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.order_calls import ATTEMPT, DIAL, SOUND, moment_of
from bridge.asterisk.refusals import as_refusals
from bridge.flows.ports import ActRefused, RadioSeen, RadioWhat
from bridge.wire.ami import HeaderValue, Message

PREFIX: Final = "rad-"
RING_MS: Final = 8000
"""A gateway's line answers by itself, at once."""
_WAY: Final = re.compile(r"voice:[0-9]{3,16}(?::[A-Z0-9]{1,8}:[0-9A-D*#]{1,16})?\Z")
_KINDS: Final[Mapping[str, RadioWhat]] = {
    "RadioWaits": "waits",
    "RadioSpoken": "spoken",
    "RadioCode": "code",
}


class RadioCalls:
    """Implements `flows.ports.Gateways`. `see` takes what happened; set it before the link runs."""

    def __init__(self, link: AmiLink, now: Callable[[], datetime]) -> None:
        self.see: Callable[[RadioSeen], None] = lambda _: None
        self._link = link
        self._now = now

    async def call(self, attempt: str, dial: str, way: str, tones: str, words: str) -> None:
        """Call the line; it waits for `go` before each over. Raises ActRefused, ActUnknown."""
        sounds = SOUND.match(words) and (not tones or SOUND.match(tones))
        if not DIAL.match(dial) or not sounds or not _WAY.match(way):
            raise ActRefused("switch-refused", f"not to be dialled: {dial!r}")
        await self._do(
            "Originate",
            {
                "Channel": dial,
                "ChannelId": PREFIX + attempt,
                "Context": "radio-order",
                "Exten": "s",
                "Priority": "1",
                "Timeout": str(RING_MS),
                "Async": "true",
                "Variable": [
                    f"ATTEMPT={attempt}",
                    f"WORDS={words}",
                    f"TONES={tones}",
                    f"WAY={way}",
                ],
            },
        )

    async def go(self, attempt: str) -> None:
        """The key is down and the lead-in over: speak. Raises ActRefused, ActUnknown."""
        headers = {"Channel": PREFIX + attempt, "Variable": "SHARED(GO)", "Value": "1"}
        await self._do("Setvar", headers)

    async def hang_up(self, attempt: str) -> bool:
        """End the call; whether there was one. Raises ActRefused, ActUnknown."""
        try:
            await self._do("Hangup", {"Channel": PREFIX + attempt, "Cause": "16"})
        except ActRefused as error:
            if "No such channel" not in str(error):
                raise
            return False
        return True

    async def _do(self, action: str, headers: Mapping[str, HeaderValue]) -> None:
        with as_refusals():
            await self._link.call(action, headers)

    def event(self, event: Message) -> None:
        """One event of the link; those of other channels mean nothing here."""
        attempt = _attempt_of(event.get("Uniqueid"))
        if attempt is None:
            return
        at = moment_of(event, self._now)
        failed = event.name == "OriginateResponse" and event.get("Response") != "Success"
        if event.name == "Hangup" or failed:
            self.see(_seen(attempt, "ended", at))
        elif event.name == "UserEvent" and event.get("Attempt") == attempt:
            what = _KINDS.get(event.get("UserEvent"))
            if what is not None:
                code, way = event.get("Code"), event.get("Way")
                self.see(_seen(attempt, what, at, code, way))

    def row(self, row: Row) -> None:
        """One row of Asterisk's own log of the time when nobody watched."""
        attempt = _attempt_of(row.unique)
        if attempt is None or row.user != "RADIO":
            return
        named, code, way, *_ = [*row.words, "", "", ""]
        if named == attempt:
            self.see(_seen(attempt, "code", row.at, code, way, learnt=True))


def _seen(
    attempt: str,
    what: RadioWhat,
    at: datetime,
    code: str = "",
    way: str = "",
    learnt: bool = False,
) -> RadioSeen:
    code = re.sub(r"[^0-9]", "", code)[:8]
    way = way if _WAY.match(way) else ""
    return RadioSeen(
        attempt=attempt,
        what=what,
        at=at,
        call=PREFIX + attempt,
        code=code,
        way=way,
        learnt=learnt,
    )


def _attempt_of(unique: str) -> str | None:
    attempt = unique.removeprefix(PREFIX)
    return attempt if attempt != unique and ATTEMPT.match(attempt) else None
