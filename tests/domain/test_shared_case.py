"""Two copies of a case become one, whoever is asked and in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.shared_case import (
    FEEDBACK_ROOM,
    MAX_FEEDBACK,
    CaseStatus,
    Feedback,
    HandoffPart,
    SharedCase,
    as_doc,
    changed,
    counted,
    digest,
    from_doc,
    merge,
    said,
)
from tests.domain.cases import CALM, cases

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


@CALM
@given(cases(), cases())
def test_it_does_not_matter_which_copy_came_first(one: SharedCase, other: SharedCase) -> None:
    assert merge(one, other) == merge(other, one)
    assert digest(merge(one, other)) == digest(merge(other, one))


@CALM
@given(cases())
def test_a_copy_with_itself_is_itself(one: SharedCase) -> None:
    assert merge(one, one) == one
    assert from_doc(as_doc(one)) == one


@CALM
@given(cases(), cases())
def test_nothing_that_was_said_is_lost(one: SharedCase, other: SharedCase) -> None:
    both = merge(one, other)
    assert set(both.feedback) == set(one.feedback) | set(other.feedback)
    for name in ("place", "words", "ticket", "category"):
        values = {getattr(one, name), getattr(other, name)} - {""}
        assert getattr(both, name) in (values or {""})


@CALM
@given(cases(), cases(), st.booleans())
def test_what_was_merged_stays_as_it_is(one: SharedCase, other: SharedCase, tie: bool) -> None:
    if tie:  # neither is later: no honest desk makes two such copies, and they are joined still
        at, by = one.changed_at, one.changed_by
        other = replace(other, revision=one.revision, changed_at=at, changed_by=by)
    both = merge(one, other)
    assert both == merge(other, one)
    assert merge(both, one) == both == merge(other, both)


@CALM
@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), max_size=12))
def test_two_desks_that_exchange_their_copies_end_with_the_same(
    steps: list[tuple[bool, str]],
) -> None:
    """Each desk changes its own copy as it likes; after one exchange both have one document."""
    start = SharedCase("C-1", "a", changed_at=NOW, changed_by="a")
    copies = {True: start, False: start}
    for number, (desk, word) in enumerate(steps):
        at = NOW + timedelta(seconds=number)
        case = copies[desk]
        line = Feedback(at, "progress", word, str(desk))
        copies[desk] = changed(case, at=at, by=str(desk), place=word, feedback=said(case, line))
    here, there = merge(copies[True], copies[False]), merge(copies[False], copies[True])
    assert digest(here) == digest(there)
    assert len(here.feedback) == len(steps)


def test_two_cases_are_never_put_together() -> None:
    with pytest.raises(ValueError, match="two cases"):
        merge(SharedCase("C-1", "a"), SharedCase("C-1", "b"))


def test_a_later_change_wins_and_empties_nothing() -> None:
    first = SharedCase("C-1", "a", place="路口", ticket="T-9", changed_at=NOW, changed_by="a")
    later = changed(
        replace(first, ticket=""), at=NOW, by="b", place="桥头", status=CaseStatus.ACCEPTED
    )
    both = merge(first, later)
    assert (both.place, both.ticket, both.status) == ("桥头", "T-9", CaseStatus.ACCEPTED)


def test_a_new_handing_over_is_not_accepted_by_an_old_one() -> None:
    first = HandoffPart("h-1", NOW, NOW, "李")
    old = SharedCase("C-1", "a", handoff=first, changed_at=NOW, changed_by="b")
    again = changed(old, at=NOW, by="a", handoff=HandoffPart("h-2", NOW))
    assert merge(old, again).handoff == HandoffPart("h-2", NOW)
    same = changed(old, at=NOW, by="a", handoff=HandoffPart("h-1", NOW))
    assert merge(old, same).handoff == first


def test_a_peer_that_does_not_count_has_the_last_word() -> None:
    local = SharedCase("C-1", "a", revision=7, changed_at=NOW, changed_by="a")
    plain = SharedCase("C-1", "a", status=CaseStatus.RESOLVED, revision=None)
    made = counted(plain, local, NOW, "12345")
    assert (made.revision, made.changed_by) == (8, "12345")
    assert merge(local, made).status is CaseStatus.RESOLVED
    assert counted(plain, None, NOW, "12345").revision == 1
    assert counted(local, None, NOW, "x") is local


def test_feedback_has_a_bound_and_the_oldest_go() -> None:
    case = SharedCase("C-1", "a")
    for number in range(MAX_FEEDBACK + 10):
        line = Feedback(NOW + timedelta(seconds=number), "p", "", "")
        case = replace(case, feedback=said(case, line))
    assert len(case.feedback) == MAX_FEEDBACK
    assert case.feedback[-1].at == NOW + timedelta(seconds=MAX_FEEDBACK + 9)
    for number in range(4):
        line = Feedback(NOW + timedelta(days=1, seconds=number), "p", "长" * 3_900, "x")
        case = replace(case, feedback=said(case, line))
    assert sum(len(one.words) for one in case.feedback) <= FEEDBACK_ROOM
