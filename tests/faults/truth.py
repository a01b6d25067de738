"""What is true, by the telephones alone; and whether the desk shows the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.lab import ear
from bridge.lab.call import Call
from bridge.lab.tones import HOLD, RINGING
from tests.faults.cell import Bounds, Fate
from tests.faults.stage import UNITS, Stage, Talk

VOICE_S: Final = 0.25
HOLD_S: Final = 1.4
"""A hold sound comes every second."""
RING_S: Final = 5.4
POLL_S: Final = 0.1
ALIVE_S: Final = 1.0
"""An RTP packet came so lately: the call stands."""
GOODBYE_S: Final = 6.0
"""A goodbye takes two to three seconds."""
GOODBYE_SOUND_S: Final = 0.5
WORDS_S: Final = 0.8
BEFORE_S: Final = 0.3
SOUNDS: Final = (HOLD, RINGING)


def parties(talk: Talk) -> dict[str, Call]:
    """Every telephone that is in this citizen's call, by the name of its leg."""
    found: dict[str, Call] = {}
    for phone in list(talk.stage.phones.values()):
        call = talk.at(phone)
        if call is not None:
            kind = "unit" if phone.user in UNITS else "seat"
            name = "hotline" if phone.user == "hotline" else f"{kind}-{phone.user}"
            found[name] = call
    return found


def states(talk: Talk, others: Mapping[str, Call]) -> set[str]:
    """States of the table that fit what the telephones hear at this moment."""
    at = time.monotonic()
    heard = talk.citizen.heard(at - VOICE_S, at, 0.1)
    voices = heard - set(SOUNDS)
    if len(voices) >= 2 or (voices and _hear_the_citizen(talk, at) >= 2):
        return {"conferenced"}
    if len(voices) == 1:
        held = any(HOLD in call.heard(at - HOLD_S, at) for call in others.values())
        return {"alternated"} if held else {"established"}
    if HOLD in talk.citizen.heard(at - HOLD_S, at):
        private = any(
            call.heard(at - VOICE_S, at, 0.1) - {*SOUNDS, talk.citizen.leg.tone}
            for call in others.values()
        )
        return {"consulting"} if private else {"held", "waiting"}
    if RINGING in talk.citizen.heard(at - RING_S, at):
        return {"queued", "alerting"}
    if sound_s(talk.citizen, at - WORDS_S, at) > 0:
        return {"ending", "queued"}  # words: goodbye, or all seats are busy
    return set()


def _hear_the_citizen(talk: Talk, at: float) -> int:
    """How many connections do. Two at one telephone (it was called twice) have one voice."""
    calls = [call for phone in list(talk.stage.phones.values()) for call in talk.all_at(phone)]
    tone = talk.citizen.leg.tone
    return sum(1 for call in calls if tone in call.heard(at - VOICE_S, at, 0.1))


def sound_s(call: Call, t0: float, t1: float) -> float:
    """Seconds within [t0, t1] in which a telephone got any sound at all."""
    quiet = ear.silences(call.leg.ear.between(t0, t1), t0, t1)
    return t1 - t0 - sum(end - begin for begin, end in quiet)


def told_goodbye(call: Call, at: float) -> bool:
    """Words or tones came between the last voice and the end of the call."""
    last = [one.end for one in call.tones(at - GOODBYE_S, at) if one.frequency not in SOUNDS]
    return sound_s(call, max(last, default=at - GOODBYE_S), at) >= GOODBYE_SOUND_S


def differs(talk: Talk, snapshot: Mapping[str, Any]) -> str:
    """How the desk's picture differs from the telephones; empty when it does not."""
    shown = next((c for c in snapshot["calls"] if c["number"] == talk.number), None)
    gone = talk.citizen.end is not None or talk.number in talk.stage.dead
    if gone or shown is None:
        return "" if gone and shown is None else f"shown {shown and shown['state']}, gone {gone}"
    others = parties(talk)
    legs = {
        leg["name"]
        for leg in shown["legs"]
        if leg["name"] != "citizen" and leg["state"] in ("connected", "hold")
    }
    if legs != set(others):
        return f"legs shown {sorted(legs)}, there {sorted(others)}"
    fitting = states(talk, others)
    if shown["state"] not in fitting:
        return f"shown {shown['state']}, heard {sorted(fitting)}"
    return ""


@dataclass
class Seen:
    """When the desk first agreed with the telephones, and what differed before."""

    at: float | None = None
    differed: str = ""
    _since: float | None = field(default=None, repr=False)

    def look(self, difference: str, at: float) -> None:
        """Twice in a row is agreement."""
        if self.at is not None:
            return
        if difference:
            self.differed, self._since = difference, None
        elif self._since is None:
            self._since = at
        else:
            self.at = self._since


async def wait_truth(stage: Stage, talks: Sequence[Talk], limit: float) -> list[Seen]:
    """Look until the desk agrees about every call, at most `limit` seconds."""
    found = [Seen() for _ in talks]
    ends = time.monotonic() + limit
    while time.monotonic() < ends and any(seen.at is None for seen in found):
        began = time.monotonic()
        try:
            snapshot = await stage.leader.snapshot()
        except (OSError, RuntimeError, ValueError) as error:
            for seen in found:
                seen.look(f"no answer: {type(error).__name__}", began)
        else:
            for talk, seen in zip(talks, found, strict=True):
                if seen.at is None:
                    seen.look(differs(talk, snapshot), began)
        await asyncio.sleep(max(0.02, POLL_S - (time.monotonic() - began)))
    return found


async def wait_lost(stage: Stage, talks: Sequence[Talk], limit: float) -> list[Seen]:
    """After Asterisk was killed: until case, number and call-back of each are on the desk."""
    found = [Seen() for _ in talks]
    ends = time.monotonic() + limit
    while time.monotonic() < ends and any(seen.at is None for seen in found):
        for talk, seen in zip(talks, found, strict=True):
            if seen.at is not None:
                continue
            at = time.monotonic()
            try:
                reply = await stage.leader.request("GET", f"calls/{talk.id}")
            except (OSError, ValueError) as error:
                seen.look(f"no answer: {type(error).__name__}", at)
                continue
            doc = reply.doc
            well = reply.ok and doc.get("number") == talk.number and bool(doc.get("case"))
            lost = doc.get("outcome") == "lost_with_asterisk" and doc.get("callback") is True
            ended = doc.get("outcome") in ("ended_by_seat", "ended_by_peer")
            seen.look("" if well and (lost or ended) else f"shown {doc.get('outcome')}", at)
        await asyncio.sleep(POLL_S)
    return found


def fate(talk: Talk, bounds: Bounds, at: float) -> Fate:
    """What became of the citizen until `at`, by the citizen's own telephone."""
    call, end = talk.citizen, talk.citizen.end
    hears = bool(call.leg.ear.between(at - ALIVE_S, at))
    if bounds.asterisk:
        return "alive" if hears and end is None else "lost_with_asterisk"
    if talk.number in talk.stage.dead or (end is not None and end.who == "us"):
        return "left"
    if end is None:
        return "alive" if hears else "dropped"
    goodbye = talk.clearing or told_goodbye(call, end.at)
    return "ended" if bounds.may_end and goodbye else "dropped"


def silence_ms(talk: Talk, since: float, until: float) -> int:
    """The citizen's longest silence, as the promises mean it."""
    call = talk.citizen
    if call.answered_at is None:
        return 0
    end = min(call.end.at, until) if call.end is not None else until
    begin = max(since - BEFORE_S, call.answered_at)
    if end <= begin:
        return 0
    return round(1000 * call.longest_silence(begin, end, cadences=True))


def double_acts(talk: Talk) -> int:
    """Calls to the third party beyond those asked for."""
    asked = sum(1 for asked in talk.asked.values() if asked.may_have_called) + talk.keys_pressed
    phones = talk.stage.phones
    came = [talk.third, phones["hotline"]]
    return max(0, sum(phone.invited.count(talk.number) for phone in came) - asked)
