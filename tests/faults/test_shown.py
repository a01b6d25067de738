"""What was shown stays: the comparing, and the daemon killed a few times on real Asterisk."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.domain.journal import Entry, Fact
from tests.faults.doomed import PLANT
from tests.faults.told import is_durable, is_kept, lost, marks_of
from tests.faults.worker import Job, run_jobs

AT = datetime(2026, 11, 25, 3, 0, 1, 234_567, tzinfo=UTC)
EVENT = {"type": "call.conferenced", "call": "1.0", "seat": "8001",
         "at": "2026-11-25T11:00:01.234+08:00"}  # fmt: skip
LEG = {"id": "1.0", "role": "citizen", "answered_at": "t1", "state": "connected", "cause": None}
HANDOFF = {"id": "h", "kind": "three-way", "leave": True, "outcome": None, "times": {"joined": "t"}}
KILLS = 5


def call(**change: Any) -> dict[str, Any]:
    return {"id": "1.0", "number": "138", "state": "held", "outcome": None, "offered_at": "t0",
            "cleared_at": None, "case": "c", "entry": "110", "callback": False,
            "legs": [_whole(LEG)], "handoffs": [_whole(HANDOFF)], **change}  # fmt: skip


def _whole(doc: dict[str, Any]) -> dict[str, Any]:
    names = ("initiated_at", "alerting_at", "joined_at", "cleared_at", "target", "seat", "actor")
    return {**dict.fromkeys(names), "answered_at": None, "role": None, "cause": None, **doc}


def test_an_event_is_kept_when_the_journal_has_its_fact() -> None:
    fact = Fact("call.state", AT, "c", "1.0")
    assert is_durable(EVENT)
    assert is_kept(EVENT, marks_of([Entry("lab", 1, fact, "", "")]))
    assert not is_kept({**EVENT, "call": "2.0"}, marks_of([Entry("lab", 1, fact, "", "")]))
    assert not is_kept(EVENT, set())
    assert not is_durable({**EVENT, "type": "leg.talking"})
    assert not is_durable({**EVENT, "type": "link.asterisk"})


def test_a_record_may_grow_and_move_on_but_forgets_nothing() -> None:
    later = call(state="cleared", outcome="citizen_left", legs=[_whole({**LEG, "cause": 16})])
    assert lost(call(), later) == []
    assert lost(later, call()) == ["1.0 outcome", "1.0 leg 1.0 cause"]
    assert lost(call(), call(handoffs=[])) == [
        "1.0 handoff h id", "1.0 handoff h kind", "1.0 handoff h leave", "1.0 handoff h joined"
    ]  # fmt: skip
    assert "1.0 id" in lost(call(), None)


@pytest.mark.live
@pytest.mark.timeout(150)
def test_nothing_shown_is_lost_when_the_daemon_is_killed() -> None:
    (found,) = run_jobs([Job("shown", tuple(range(KILLS)))], 1)
    assert found.broken == (), found.line
    assert found.line["kills"] == KILLS
    assert found.line["shown"] > 50 * KILLS


@pytest.mark.live
@pytest.mark.timeout(150)
def test_a_daemon_that_shows_before_it_stores_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLANT, "shows early")
    (found,) = run_jobs([Job("shown", tuple(range(KILLS)))], 1)
    assert found.line["lost"] > 0, found.line
