"""The fax desk on a real store: who paused what, and numbers that ring a person's telephone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.domain.delivery import A, Cause, Progress
from bridge.domain.errors import Refused
from bridge.domain.fax_rules import FaxRules
from bridge.flows.fax_desk import RULES_CURSOR, FaxDesk
from bridge.flows.recorder import Recorder
from bridge.store import SqliteStore
from tests.channels.mail_kit import NOW, FixedClock, Told
from tests.store.store_kit import opened

NUMBER = "0539-8110119"
DIGITS = "05398110119"


@dataclass
class Kit:
    store: SqliteStore
    recorder: Recorder
    told: Told = field(default_factory=Told)
    alarms: dict[str, str] = field(default_factory=dict)
    modems: list[Mapping[str, str]] = field(default_factory=list)

    async def desk(self) -> FaxDesk:
        """A life of the daemon on what is stored."""

        async def tell(paused: Mapping[str, str]) -> None:
            self.modems.append(paused)

        stored = await self.store.reader.cursor(RULES_CURSOR)
        return FaxDesk(
            self.recorder, FixedClock(), self.told, self.alarms.__setitem__, stored, tell
        )


@contextlib.asynccontextmanager
async def kit_in(directory: Path) -> AsyncIterator[Kit]:
    async with opened(directory) as store:
        recorder = Recorder(store, lambda _: None)
        writing = asyncio.create_task(recorder.run())
        try:
            yield Kit(store, recorder)
        finally:
            await recorder.drain(20)
            writing.cancel()


def ended(attempt: str, state: A, cause: Cause | None = None, number: str = NUMBER) -> Progress:
    return Progress(attempt=attempt, state=state, at=NOW, cause=cause, data={"number": number})


def voice(attempt: str) -> Progress:
    return ended(attempt, A.FAILED, Cause.VOICE_ANSWERED)


async def test_a_number_that_a_person_answers_twice_is_closed_with_an_alarm(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        desk = await kit.desk()
        await desk.progress(voice("1"))
        await desk.progress(voice("1"))  # the same again
        assert desk.rules.why_blocked(DIGITS) == ""
        await desk.progress(voice("2"))
        assert "2" in desk.rules.why_blocked(DIGITS)
        assert DIGITS in kit.alarms[f"fax.number.{DIGITS}"]
        assert [one.attempt for one in kit.told.said] == ["1", "1", "2"]
        later = await kit.desk()
        assert later.rules == desk.rules
        await later.unblock("L", NUMBER, "key-0001")
        assert later.rules == FaxRules()
        assert kit.alarms[f"fax.number.{DIGITS}"] == ""
        facts = [entry.fact for entry in await kit.store.reader.entries_after(0)]
        assert [(one.kind, one.actor) for one in facts] == [
            ("fax.voice", "daemon"), ("fax.voice", "daemon"), ("fax.blocked", "daemon"),
            ("fax.unblocked", "L"),
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "cause"),
    [(A.DELIVERED, None), (A.UNKNOWN, None), (A.FAILED, Cause.TRAINING_FAILED),
     (A.FAILED, Cause.CUT), (A.FAILED, Cause.REJECTED)],
)  # fmt: skip
def test_a_machine_that_answers_forgets_the_voice_before(state: A, cause: Cause | None) -> None:
    rules = FaxRules()
    for told in (voice("1"), ended("2", state, cause), voice("3")):
        for said in rules.heard(told):
            rules.apply(said)
    assert (rules.voices, rules.blocked) == ({DIGITS: ["3"]}, {})


@pytest.mark.parametrize("cause", [Cause.BUSY, Cause.NO_ANSWER, Cause.DEVICE_GONE])
def test_what_says_nothing_of_the_number_changes_nothing(cause: Cause) -> None:
    rules = FaxRules(voices={DIGITS: ["1"]})
    assert rules.heard(ended("2", A.FAILED, cause)) == []
    assert rules.heard(Progress(attempt="2", state=A.DELIVERED, at=NOW)) == []
    for said in rules.heard(voice("3")):
        rules.apply(said)
    assert list(rules.blocked) == [DIGITS]


async def test_what_is_paused_is_known_by_whom_and_told_to_the_modems(tmp_path: Path) -> None:
    async with kit_in(tmp_path) as kit:
        desk = await kit.desk()
        await desk.pause("L", "ttyACM0", "维修", "key-0001")
        await desk.pause("E", "", "停电", "key-0002")
        assert kit.modems[-1] == {"ttyACM0": "维修", "": "停电"}
        later = await kit.desk()
        await later.tell_modems()
        assert kit.modems[-1] == {"ttyACM0": "维修", "": "停电"}
        await later.resume("E", "", "key-0003")
        assert kit.modems[-1] == {"ttyACM0": "维修"}
        with pytest.raises(Refused, match="reason-missing"):
            await later.block("L", NUMBER, " ", "key-0004")
        with pytest.raises(Refused, match="already-answered"):
            await later.block("L", NUMBER, "错号", "key-0003")
        assert later.rules.why_blocked(NUMBER) == ""
        facts = [entry.fact for entry in await kit.store.reader.entries_after(0)]
        assert [(one.kind, one.subject, one.actor) for one in facts] == [
            ("fax.paused", "ttyACM0", "L"), ("fax.paused", "", "E"), ("fax.resumed", "", "E"),
        ]  # fmt: skip


async def test_another_station_at_the_number_is_an_alarm_until_the_right_one_answers(
    tmp_path: Path,
) -> None:
    async with kit_in(tmp_path) as kit:
        desk = await kit.desk()
        for other, far in ((True, "021 555"), (False, "0539 8110119")):
            data: dict[str, str | int | float | bool | None]
            data = {"number": NUMBER, "far_id": far, "other_station": other}
            await desk.progress(Progress(attempt="1", state=A.DELIVERED, at=NOW, data=data))
            words = kit.alarms[f"fax.identity.{DIGITS}"]
            assert (far in words) is other
        assert [one.data["far_id"] for one in kit.told.said] == ["021 555", "0539 8110119"]
