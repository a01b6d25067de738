"""Radio on the simulated loop: the network, sets in the field, and people who hold them.

The air tells what it likes: late, doubled, in any order, of nothing we know. What a set has shown
and what its holder has answered is the world's knowledge: it judges what the journal says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from bridge.channels.radio_words import TETRA_STATUS
from bridge.domain.journal import Entry
from tests.simulation.daemon import SimClock
from tests.simulation.loop import in_life
from tests.simulation.ports import SimPorts, rounds

ENDINGS = (
    *("shown", "shown", "shown", "shown", "off", "off", "off, later on", "unseen", "unseen, shown"),
    *("not-registered", "queue-full", "refused", "device-gone", "refused, shown"),
)
ANSWERS = ("", "", "", "status", "status", "coded", "coded", "words", "old code")
TEXTS = ("收到", "明白,马上出发", "已到场,正在抢修", "处置完毕", "不属于我单位", "还要十分钟")
_TEXT = re.compile(r"^(?P<mark>可能重复 )?.*?110指令 (?P<order>\S+) 码(?P<code>[0-9]{8})")
STRANGER = "9999"
SETS = (("1001",), ("1002", "1003"))
"""The sets of each unit."""


@dataclass
class OnAir:
    """One order that went out to a set, at a wall time."""

    attempt: str
    ssi: str
    order: str
    code: str
    marked: bool
    at: float
    shown: bool = False


@dataclass
class Answer:
    """What the holder of a set said, and under which key the port process has it; said once, it may
    have come twice. `order`: the one it names by its code; None for what names none."""

    ssi: str
    order: str | None
    at: float
    key: str
    said: int


@dataclass
class Air:
    """The way `radio` of the port process."""

    ports: SimPorts
    texts: list[OnAir] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    async def carry(self, key: str, body: Mapping[str, Any]) -> None:
        """What becomes of one text is drawn here; the network goes on when the port process
        dies."""
        draw, tell = self.ports.chance.random, self.ports.tell
        tell(key, "sending")
        await asyncio.sleep(0.05 + draw.random() * 2)
        ending, _, more = draw.choice(ENDINGS).partition(", ")
        found = _TEXT.match(body["text"])
        assert found is not None, body["text"]
        if ending in ("shown", "off", "unseen") or more:
            now = self._now()
            text = OnAir(
                key, body["address"], found["order"], found["code"], bool(found["mark"]), now
            )
            self.texts.append(text)
            if ending == "shown" or more:
                self._start(self._shows(text, draw.uniform(60, 400) if "on" in more else 1.0))
        await asyncio.sleep(self.ports.chance.delay(1e-3, 2.0))
        if ending in ("shown", "off"):
            tell(key, "sent", stored=ending == "off")
        elif ending == "unseen":
            tell(key, "unknown")
        else:
            tell(key, "failed", ending)

    async def _shows(self, text: OnAir, within: float) -> None:
        """The set shows it, and says so or not; its holder answers or not."""
        draw = self.ports.chance.random
        await asyncio.sleep(draw.random() * within)
        text.shown = True
        for stage in ("delivered", "read"):
            for _ in range(draw.choice((0, 1, 1, 1, 2))):
                late = draw.choice((0.1, 2.0, 150.0))
                self._start(self._report(text.attempt, stage, draw.random() * late))
        answer = draw.choice(ANSWERS)
        if answer:
            await asyncio.sleep(2 + draw.random() * 120)
            await self._answer(text, answer)

    async def _report(self, attempt: str, stage: str, late: float) -> None:
        """A receipt of the set; lost where nobody is there to hear it."""
        await asyncio.sleep(late)
        if self.ports.up.is_set():
            self.ports.tell(attempt, stage)

    async def _answer(self, text: OnAir, answer: str) -> None:
        """Until the network has taken it; where its receipt is lost, once more."""
        draw = self.ports.chance.random
        names = {"source": text.ssi, "target": "1", "gateway": "radio", "channel": "radio"}
        order: str | None = None
        if answer == "status":
            said: dict[str, Any] = {"kind": "status", "value": draw.choice(list(TETRA_STATUS))}
        else:
            code = {"coded": text.code, "old code": self._older(text)}.get(answer, "")
            order = next((one.order for one in self.texts if one.code == code), None)
            words = f"{draw.choice(TEXTS)} {code}".strip()
            said = {"kind": "text", "text": words, "whole": True}
        number = next(self._numbers)
        for _ in range(draw.choice((1, 1, 1, 2))):
            await self.ports.up.wait()
            key = self.ports.keep(**said, **names)
            self.answers.append(Answer(text.ssi, order, self._now(), key, number))
            await asyncio.sleep(2)

    def _older(self, text: OnAir) -> str:
        """The code of another order that this set was sent before; else its own."""
        other = [one.code for one in self.texts if one.ssi == text.ssi and one.code != text.code]
        return other[0] if other else text.code

    async def noise(self) -> None:
        """What concerns nothing of ours: receipts for nobody, and a stranger."""
        draw, ports = self.ports.chance.random, self.ports
        for _ in range(draw.choice((0, 1, 2))):
            await asyncio.sleep(draw.random() * 100)
            await ports.up.wait()
            known = [text.order for text in self.texts]
            ports.tell(
                f"{draw.choice([*known, '20260101-0009-01'])}.77", draw.choice(("read", "sent"))
            )
            names = {"source": STRANGER, "gateway": "radio", "channel": "radio"}
            ports.keep(kind="status", value=0x8002, **names)

    def confirmed(self, key: str) -> bool:
        """Nothing is confirmed while it is being sent."""
        return False

    # What really happened

    def signed(self, order: str) -> list[Answer]:
        """Answers that can have signed for it: those that name it, and those that name none from a
        set of the unit it was sent to."""
        sent = [text for text in self.texts if text.order == order]
        since = min((text.at for text in sent), default=0.0)
        sets = {ssi for unit in SETS for ssi in unit for text in sent if text.ssi in unit}
        return [
            one
            for one in self.answers
            if one.order == order or (one.order is None and one.ssi in sets and one.at >= since)
        ]

    def named(self, order: str) -> list[Answer]:
        """Answers with that order's code."""
        return [one for one in self.answers if one.order == order]

    def judge(self, journal: Sequence[Entry]) -> str:
        """As `ports.Way.judge`."""
        return self._marks(journal) or self._answers(journal) or self._results(journal)

    def _marks(self, journal: Sequence[Entry]) -> str:
        """Nothing goes out to a set twice without the mark, but where it was said that the first
        had failed."""
        failed = self.ports.failed
        turns = rounds(journal)
        before: dict[tuple[str, str, int], list[OnAir]] = {}
        for text in self.texts:
            earlier = before.setdefault((text.order, text.ssi, turns.get(text.attempt, 0)), [])
            seen = [one for one in earlier if failed.get(one.attempt, text.at) >= text.at]
            if seen and not text.marked:
                return f"{text.attempt} went to {text.ssi} again, and no mark"
            earlier.append(text)
        return ""

    def _answers(self, journal: Sequence[Entry]) -> str:
        """Everything a person said is somewhere: with an order, or before a person."""
        kept = {str(entry.fact.data.get("key")) for entry in journal}
        kept |= {entry.fact.subject or "" for entry in journal if entry.fact.kind == "inbox.look"}
        late = {
            entry.fact.data.get("by") for entry in journal if entry.fact.kind == "order.lateReport"
        }
        for one in self.answers:
            if one.key not in kept and one.ssi not in late:
                return f"what {one.ssi} said ({one.key}) is nowhere"
        return ""

    def _results(self, journal: Sequence[Entry]) -> str:
        """A result that was said once closes one order."""
        said = {one.key: one.said for one in self.answers}
        closed: dict[int, str] = {}
        for entry in journal:
            fact = entry.fact
            number = said.get(str(fact.data.get("key")))
            if fact.kind != "order.reported" or fact.data["says"] != "result" or number is None:
                continue
            other = closed.setdefault(number, fact.subject or "")
            if other != fact.subject:
                return f"{fact.subject} was closed by nobody: what was said had closed {other}"
        return ""

    def _now(self) -> float:
        return SimClock(self.ports.loop).now().timestamp()

    def _start(self, work: Any) -> None:
        self.ports.loop.create_task(work, context=in_life(0))
