"""What the telephones observed, beside what the daemon wrote. A fact counts only when both agree.

The telephones know by tone whom they heard and when, and count RTP packets; the tracks are heard
in their files. Nothing here asks the daemon what to believe.
"""

from __future__ import annotations

import asyncio
import time
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from bridge.domain.journal import Fact as Entry
from bridge.lab.call import Call
from bridge.lab.ear import Interval, silences
from bridge.lab.robots import CITIZEN_NUMBER, Access
from bridge.lab.scenario import Played
from bridge.lab.tones import CITIZEN
from bridge.lab.wavear import longest, tones_in
from bridge.store import Reader

NEAR_S: Final = 1.0
"""How far a telephone's moment and the daemon's may lie apart (delays of keys and frames)."""
ALONE_S: Final = 2.0
GAP_S: Final = 0.15
"""Longest time without RTP that the citizen may see while talking."""
FLICKER_S: Final = 0.12
"""A tone may drop out of the analysis so long when another begins."""
GOODBYE_S: Final = 0.5
"""Sound of any kind that the citizen hears, alone, before the end."""
RECORD_S: Final = 15.0
POLL_S: Final = 0.1
ZONE: Final = ZoneInfo("Asia/Shanghai")
"""Of the laboratory's settings."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is to be true, as the telephones saw it and as the daemon wrote it."""

    zh: str
    en: str
    telephones: str
    daemon: str
    confirmed: bool


@dataclass(frozen=True, slots=True)
class Record:
    """The journal of the played call. Moments are the scenario's monotonic seconds."""

    facts: Sequence[Entry]
    clock: float

    def at(self, kind: str, **data: object) -> float | None:
        """When the first fact of that kind, with that data, happened."""
        for fact in self.facts:
            if fact.kind == kind and all(fact.data.get(k) == v for k, v in data.items()):
                return fact.at.timestamp() - self.clock
        return None

    def data(self, kind: str) -> Mapping[str, Any]:
        """The data of the last fact of that kind, empty when there is none."""
        return next((dict(f.data) for f in reversed(self.facts) if f.kind == kind), {})


async def read_order(access: Access, played: Played, order: str) -> Record:
    """The journal of the order, as it is now."""
    entries = await Reader(access.store).entries_of_case(played.case)
    facts = [entry.fact for entry in entries]
    own = [f for f in facts if order in (f.subject, f.data.get("order"))]
    return Record(own, played.clock)


async def read_record(access: Access, played: Played) -> Record:
    """The journal of the call, as soon as its recording is closed or RECORD_S are over."""
    reader, until = Reader(access.store), time.monotonic() + RECORD_S
    while True:
        entries = await reader.entries_of_case(played.case) if played.case else ()
        facts = [entry.fact for entry in entries if entry.fact.call == played.call]
        if not played.case or time.monotonic() > until:
            return Record(facts, played.clock)
        if any(fact.kind == "recording.closed" for fact in facts):
            return Record(facts, played.clock)
        await asyncio.sleep(POLL_S)


def meetings(played: Played, record: Record) -> list[Fact]:
    """Every fact of the scenario about who spoke with whom, in the order of the call."""
    whole = Fact(
        "全程演完",
        "played to its end",
        played.trouble or "yes",
        "-",
        not played.trouble,
    )
    if played.citizen is None or played.taker is None or played.hotline is None:
        return [whole]
    citizen, taker, hotline = played.citizen, played.taker, played.hotline
    seat, peer = played.seat_tone, played.hotline_tone
    requested, taken = record.at("handoff.requested"), record.at("handoff.taken")
    left = citizen.ended_at or played.over
    alone = (taker.ended_at or left, hotline.ended_at or left)
    three = (hotline.invite_at, alone[0])
    pair = (taker.invite_at, hotline.invite_at)
    return [
        _number(taker, played, record),
        _together(played, "市民与坐席通话", "citizen and seat talk", pair,
                  {citizen: {seat}, taker: {CITIZEN}}, record.at("call.state", to="established")),
        _moment(played, "12345 收到呼叫(带编号)", "12345 is called, with the case",
                hotline.invite_at, requested, _carried(hotline, played)),
        _together(played, "三方都在通话", "all three hear each other", three,
                  {citizen: {seat, peer}, taker: {CITIZEN, peer}, hotline: {CITIZEN, seat}},
                  record.at("handoff.joined")),
        _moment(played, "坐席退出", "the seat left", taker.ended_at, taken),
        _together(played, "市民与 12345 继续通话 ≥ 2 s", "citizen and 12345 talk on, 2 s or more",
                  alone, {citizen: {peer}, hotline: {CITIZEN}}, taken, ALONE_S),
        _packets(played, record, alone),
        _goodbye(played, record, alone[1], left),
        whole,
    ]  # fmt: skip


def _number(taker: Call, played: Played, record: Record) -> Fact:
    seen = getattr(taker, "caller", "")
    wrote = str(record.data("call.offered").get("number", "-"))
    good = seen == wrote == CITIZEN_NUMBER
    words = f"{when(played.clock, taker.invite_at)} {seen}"
    written = f"{when(played.clock, record.at('call.offered'))} {wrote}"
    return Fact("110 呼入到坐席", "the call to 110 rings at a seat", words, written, good)


def _carried(hotline: Call, played: Played) -> bool:
    return hotline.headers.get("X-Case-Id") in (played.case, played.call)


def _moment(
    played: Played, zh: str, en: str, seen: float | None, wrote: float | None, also: bool = True
) -> Fact:
    good = near(seen, wrote) and also
    return Fact(zh, en, when(played.clock, seen), when(played.clock, wrote), good)


def _together(
    played: Played,
    zh: str,
    en: str,
    span: tuple[float, float],
    wanted: Mapping[Call, set[int]],
    wrote: float | None,
    at_least: float = 0.3,
) -> Fact:
    """Whether each leg heard exactly those it is to hear, all of them at the same time."""
    edge = 0.2  # the sound of what was before or comes after
    stretches = [
        _longest_stretch(call.tones(span[0], span[1] - edge), tone, span)
        for call, tones in wanted.items()
        for tone in tones
    ]
    begins, ends = zip(*stretches, strict=True)
    begin, end = max(begins), min(ends)
    clean = all(
        call.heard(begin + edge, end) == tones for call, tones in wanted.items() if end > begin
    )
    lasted = end - begin >= at_least
    words = f"{when(played.clock, begin)} {end - begin:.2f} s" if lasted else "没有听到 / not heard"
    return Fact(zh, en, words, when(played.clock, wrote), lasted and clean and near(begin, wrote))


def _longest_stretch(
    heard: Sequence[Interval], tone: int, span: tuple[float, float]
) -> tuple[float, float]:
    """When that tone was heard longest, over flickers of FLICKER_S; nothing ends as it begins."""
    best = (span[1], span[1])
    begin = end = span[0]
    for one in (one for one in heard if one.frequency == tone):
        if one.start - end > FLICKER_S:
            begin = one.start
        end = one.end
        if end - begin > best[1] - best[0]:
            best = (begin, end)
    return best


def _packets(played: Played, record: Record, alone: tuple[float, float]) -> Fact:
    """RTP of citizen and 12345 after the seat left, and the citizen's longest gap in the call."""
    assert played.citizen is not None
    assert played.hotline is not None
    counts = [len(c.leg.ear.between(*alone)) for c in (played.citizen, played.hotline)]
    due = (alone[1] - alone[0]) * 50
    first = record.at("call.state", to="established") or played.began
    gap = played.citizen.longest_gap(first + 0.2, alone[1])
    missed = sum(fact.kind == "call.unobserved" for fact in record.facts)
    good = min(counts) >= 0.9 * due > 0 and gap <= GAP_S and not missed
    words = f"RTP {counts[0]}/{counts[1]} ≈ {due:.0f}, 最长间断 / gap {1000 * gap:.0f} ms"
    return Fact("声音不中断", "the sound goes on", words, f"未观测 / unobserved {missed}", good)


def _goodbye(played: Played, record: Record, hung_up: float, left: float) -> Fact:
    assert played.citizen is not None
    end = played.citizen.end
    quiet = silences(played.citizen.leg.ear.between(hung_up, left), hung_up, left)
    sounding = left - hung_up - sum(end - start for start, end in quiet)
    heard = sounding >= GOODBYE_S
    outcome = str(record.data("call.cleared").get("outcome", "-"))
    by = "-" if end is None else f"{end.who} {end.cause}"
    wrote = record.at("call.cleared")
    good = heard and near(left, wrote) and end is not None and end.who == "them"
    good &= outcome == "ended_by_peer"
    return Fact(
        "12345 挂机,市民听到提示后结束",
        "12345 hangs up, goodbye, the end",
        f"{when(played.clock, left)} {by}, 提示音 / sound {sounding:.1f} s",
        f"{when(played.clock, wrote)} {outcome}",
        good,
    )


def voices(played: Played, record: Record, recordings: Path) -> list[Fact]:
    """Each leg's track and the joined file, heard from the disk. Blocks; small files."""
    seat, peer = played.seat_tone, played.hotline_tone
    recording = record.data("recording.closed")
    tracks = {str(t["leg"]): str(t["file"]) for t in recording.get("tracks", ())}
    joined = recording.get("joined") or {}
    wanted = [
        ("录音:市民", "track: citizen", tracks.get("citizen", ""), {CITIZEN}),
        ("录音:坐席", "track: seat", tracks.get(f"seat-{played.seat}", ""), {seat}),
        ("录音:12345", "track: 12345", tracks.get("hotline", ""), {peer}),
        ("录音:合成", "joined file", str(joined.get("file", "")), {CITIZEN, seat, peer}),
    ]
    return [_track(zh, en, recordings, name, tones) for zh, en, name, tones in wanted]


def _track(zh: str, en: str, place: Path, name: str, wanted: set[int]) -> Fact:
    try:
        heard = longest(tones_in(place / name, wanted), wanted) if name else 0.0
    except (OSError, ValueError, wave.Error) as error:
        return Fact(zh, en, str(error), name or "-", False)
    return Fact(zh, en, f"{heard:.1f} s", name or "-", heard >= 0.3)


def near(seen: float | None, wrote: float | None) -> bool:
    """Whether what was seen and what was written may be the same moment."""
    return seen is not None and wrote is not None and abs(seen - wrote) <= NEAR_S


def when(clock: float, moment: float | None) -> str:
    """Local time of a monotonic moment, to the millisecond; `clock` as in Played."""
    if moment is None:
        return "-"
    local = datetime.fromtimestamp(moment + clock, ZONE)
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"
