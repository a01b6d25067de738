"""The standing reckoning: what it waits for, what it tells, and when it is over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from bridge.domain.reconcile import Difference, SwitchCall, ToldCall, Verdict
from bridge.flows.ports import StoreError
from bridge.flows.reconcile import (
    EVERY_S,
    GRACE_S,
    LEARN_AGAIN_S,
    NAMED,
    REMEMBERED_S,
    Reconciliation,
    words_of,
)

AT = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)


class Logs:
    """Both logs, and what the reckoning said of them."""

    def __init__(self) -> None:
        self.switch: dict[str, SwitchCall] = {}
        self.told: dict[str, ToldCall] = {}
        self.let_go = 0
        self.fails: Exception | None = None
        self.now = 1000.0
        self.alarms: list[str] = []
        self.found: list[tuple[str, Verdict]] = []
        self.learnt_again = 0
        self.start()

    def start(self, known: Mapping[str, Verdict] | None = None) -> None:
        """A life of the daemon."""
        self.check = Reconciliation(
            self,
            self.journal,
            monotonic=lambda: self.now,
            alarm=self.alarms.append,
            found=self._found,
            learn_again=self._learn,
            known=known,
        )

    def _found(self, one: Difference) -> None:
        self.found.append((one.call, one.verdict))

    def _learn(self) -> None:
        self.learnt_again += 1

    async def read(self) -> Mapping[str, SwitchCall]:
        if isinstance(self.fails, OSError):
            raise self.fails
        return self.switch

    def settle(self, call: str) -> None:
        del self.switch[call]

    async def journal(self, calls: Collection[str]) -> Mapping[str, ToldCall]:
        if isinstance(self.fails, StoreError):
            raise self.fails
        return {call: self.told[call] for call in calls if call in self.told}

    def arrives(self, call: str = "1.0") -> None:
        channel = f"PJSIP/trunk-{call}"
        self.switch[call] = SwitchCall(call, channel, AT, "13800138000", named=True)

    def tells(self, call: str = "1.0", outcome: str | None = None) -> None:
        self.told[call] = ToldCall(call, "20261125-0001", AT, delivered=False, outcome=outcome)

    def hangs_up(self, call: str = "1.0") -> None:
        seen = self.switch[call]
        self.switch[call] = replace(seen, ended_at=AT, source=seen.channel)

    async def rounds(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            await self.check.round()
            self.now += EVERY_S
        await self.check.round()


async def test_a_call_in_both_logs_is_settled_when_it_is_over() -> None:
    logs = Logs()
    logs.arrives()
    await logs.rounds(3)
    logs.tells()
    await logs.rounds(600)
    assert list(logs.switch) == ["1.0"]
    logs.hangs_up()
    await logs.rounds(3)
    logs.tells(outcome="citizen_left")
    await logs.rounds(1)
    assert logs.switch == {}
    assert (logs.alarms, logs.found, logs.learnt_again) == ([], [], 0)


async def test_a_call_that_is_not_in_the_journal_is_alarmed_within_ten_seconds() -> None:
    logs = Logs()
    logs.arrives()
    began = logs.now
    while not logs.alarms:
        await logs.rounds(0)
        logs.now += EVERY_S
    assert logs.now - began <= GRACE_S + 2 * EVERY_S < 10
    assert "1.0: 来电未入日志" in logs.alarms[0]
    assert logs.found == [("1.0", Verdict.MISSING)]
    assert logs.learnt_again == 1
    logs.tells()
    await logs.rounds(0)
    assert logs.alarms[-1] == ""


async def test_an_end_without_an_explanation_is_alarmed_once_and_remembered_for_a_day() -> None:
    logs = Logs()
    logs.arrives()
    logs.tells()
    logs.hangs_up()
    await logs.rounds(GRACE_S + EVERY_S)
    assert logs.found == [("1.0", Verdict.OPEN)]
    await logs.rounds(600)
    assert len(logs.alarms) == 1
    assert len(logs.found) == 1
    assert logs.learnt_again == 1 + 600 // LEARN_AGAIN_S
    logs.now += REMEMBERED_S
    await logs.rounds(2 * EVERY_S)
    assert logs.switch == {}
    assert logs.alarms[-1] == ""


async def test_what_an_earlier_life_recorded_is_alarmed_again_and_not_recorded_twice() -> None:
    logs = Logs()
    logs.arrives()
    await logs.rounds(GRACE_S + EVERY_S)
    logs.start({"1.0": Verdict.MISSING})
    await logs.rounds(GRACE_S + EVERY_S)
    assert logs.found == [("1.0", Verdict.MISSING)]
    assert len(logs.alarms) == 2
    logs.tells()
    logs.hangs_up()
    await logs.rounds(GRACE_S + EVERY_S)
    assert logs.found == [("1.0", Verdict.MISSING), ("1.0", Verdict.OPEN)]


async def test_what_changes_its_kind_gets_the_grace_again() -> None:
    logs = Logs()
    logs.arrives()
    await logs.rounds(GRACE_S - EVERY_S)
    logs.tells()
    logs.hangs_up()
    await logs.rounds(GRACE_S - EVERY_S)
    logs.tells(outcome="citizen_left")
    await logs.rounds(EVERY_S)
    assert logs.alarms == []


async def test_what_cannot_be_read_is_said_and_never_ends_the_daemon() -> None:
    logs = Logs()
    logs.fails = PermissionError(13, "Permission denied")
    await logs.rounds(3 * EVERY_S)
    assert len(logs.alarms) == 1
    assert "Permission denied" in logs.alarms[0]
    logs.fails = StoreError("locked")
    logs.arrives()
    await logs.rounds(3 * EVERY_S)
    logs.fails = None
    logs.tells()
    await logs.rounds(0)
    assert logs.alarms[1:] == [""]


def test_an_alarm_names_a_few_and_counts_all() -> None:
    due = [Difference(f"1.{n}", None, Verdict.MISSING, AT, "") for n in range(NAMED + 4)]
    words = words_of(due, let_go=5)
    assert "1.2:" in words
    assert "1.3:" not in words
    assert "共 7 件" in words
    assert "5 calls were too many" in words
    assert words_of([]) == ""
