"""Every way in which the switch's log and the journal can differ about one call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from bridge.domain.handoff import CallOutcome
from bridge.domain.reconcile import WORDS, SwitchCall, ToldCall, Verdict, judge, reckon

AT = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
MET, ENDED = AT + timedelta(seconds=3), AT + timedelta(seconds=60)
CHANNEL = "PJSIP/trunk-00000000"


def seen(
    ident: str = "1.0", *, met: bool = True, ended: bool = True, by: str = CHANNEL, cause: int = 16
) -> SwitchCall:
    return SwitchCall(
        ident,
        CHANNEL,
        AT,
        "13800138000",
        named=True,
        met_at=MET if met else None,
        ended_at=ENDED if ended else None,
        cause=cause,
        source=by if ended else "",
    )


def told(
    ident: str = "1.0", *, delivered: bool = True, outcome: str | None = "citizen_left"
) -> ToldCall:
    return ToldCall(ident, "20261125-0001", AT, delivered, outcome, "13800138000")


ROWS = [
    (seen(), told(), Verdict.DELIVERED),
    (seen(ended=False), told(outcome=None), Verdict.DELIVERED),
    (seen(by="dialplan/builtin"), told(outcome="ended_by_seat"), Verdict.DELIVERED),
    (seen(by="", cause=44), told(), Verdict.DELIVERED),
    (seen(ended=False), told(outcome="lost_with_asterisk"), Verdict.DELIVERED),
    (seen(met=False), told(delivered=False), Verdict.EXPLAINED),
    (seen(met=False, by=""), told(delivered=False, outcome="ended_by_desk"), Verdict.EXPLAINED),
    (
        seen(met=False, ended=False),
        told(delivered=False, outcome="lost_with_asterisk"),
        Verdict.EXPLAINED,
    ),
    (seen(met=False, ended=False), told(delivered=False, outcome=None), Verdict.WAITING),
    (seen(), None, Verdict.MISSING),
    (replace(seen(), named=False), None, Verdict.NOT_NAMED),
    (seen(), told(outcome=None), Verdict.OPEN),
    (seen(ended=False), told(), Verdict.ENDED_TOO_SOON),
    (seen(), told(delivered=False), Verdict.NOT_TOLD),
    (seen(met=False), told(), Verdict.NOT_SEEN),
    (seen(by="dialplan/builtin"), told(), Verdict.DROPPED),
    (seen(met=False, by=""), told(delivered=False), Verdict.DROPPED),
    (
        seen(met=False, by="dialplan/builtin"),
        told(delivered=False, outcome="ended_by_seat"),
        Verdict.UNEXPLAINED,
    ),
    (seen(), told(outcome="unknown"), Verdict.UNEXPLAINED),
]


@pytest.mark.parametrize(("switch", "journal", "verdict"), ROWS)
def test_verdict(switch: SwitchCall, journal: ToldCall | None, verdict: Verdict) -> None:
    assert judge(switch, journal) is verdict


def test_every_verdict_is_shown_and_every_difference_says_what_to_do() -> None:
    shown = {verdict for *_, verdict in ROWS} | {Verdict.NOT_IN_SWITCH}
    assert shown == set(Verdict)
    fine = {Verdict.DELIVERED, Verdict.EXPLAINED, Verdict.WAITING}
    assert set(WORDS) == set(Verdict) - fine
    assert not any(verdict.is_difference for verdict in fine)


def test_nothing_unexplained_passes_for_any_combination() -> None:
    """A call that has ended is counted as good only with an outcome, and rightly delivered."""
    outcomes: list[str | None] = [None, *(outcome.value for outcome in CallOutcome)]
    sources = (CHANNEL, "dialplan/builtin", "")
    for met, delivered, outcome, by in product((True, False), (True, False), outcomes, sources):
        verdict = judge(seen(met=met, by=by), told(delivered=delivered, outcome=outcome))
        if not verdict.is_difference:
            assert outcome not in (None, "unknown")
            assert met is delivered
            assert outcome != "citizen_left" or by == CHANNEL
            assert verdict is (Verdict.DELIVERED if met else Verdict.EXPLAINED)


def test_the_sum_is_exact_or_says_which_calls() -> None:
    switch = [
        seen("1.0"),
        seen("1.1", met=False),
        seen("1.2", met=False),
        seen("1.3", met=False, ended=False),
        seen("1.4"),
    ]
    journal = {
        call.id: call
        for call in (
            told("1.0"),
            told("1.1", delivered=False),
            told("1.2", delivered=False, outcome="ended_by_desk"),
            told("1.3", delivered=False, outcome=None),
        )
    }
    exact = reckon(switch[:4], journal)
    assert exact.is_exact
    assert (exact.came_in, exact.delivered, exact.waiting) == (4, 1, 1)
    assert exact.explained == {"citizen_left": 1, "ended_by_desk": 1}
    assert exact.came_in == exact.delivered + exact.explained.total() + exact.waiting
    journal["1.9"] = told("1.9")
    differ = reckon(switch, journal)
    assert [(one.call, one.verdict) for one in differ.differences] == [
        ("1.4", Verdict.MISSING),
        ("1.9", Verdict.NOT_IN_SWITCH),
    ]
    assert "call the number back" in str(differ.differences[0])
