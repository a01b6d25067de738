"""Every state and every event has an answer; the drawing is the table's."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from bridge.domain.conversation import COMMANDS, E, F, Go, Ignore, Refuse, S, diagram, step

PAIRS = list(product(S, E))


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_pair_is_answered(state: S, event: E) -> None:
    found = step(state, event)
    if event in COMMANDS:
        assert isinstance(found, Go | Refuse), "a request is done or refused, never swallowed"
    else:
        assert isinstance(found, Go | Ignore), "what happened cannot be refused"


def test_the_table_has_no_idle_words() -> None:
    used = {f for s, e in PAIRS if isinstance(found := step(s, e), Go) for f in found.effects}
    assert used == set(F), "an effect that no pair asks for is dead"


@pytest.mark.parametrize("state", [s for s in S if s not in (S.CLEARED,)])
def test_a_citizen_who_hangs_up_ends_the_call_from_every_state(state: S) -> None:
    assert step(state, E.CITIZEN_GONE) == Go(S.CLEARED)


def test_only_the_named_events_end_a_call() -> None:
    ending = {
        event
        for state, event in PAIRS
        if isinstance(found := step(state, event), Go)
        and found.state in (S.ENDING, S.CLEARED)
        and state not in (S.ENDING, S.CLEARED)
    }
    assert ending == {E.CITIZEN_GONE, E.SWITCH_LOST, E.GOODBYE, E.CLEAR_CALL}


def test_only_two_services_may_clear_the_citizen_and_both_ask_again() -> None:
    for state, event in PAIRS:
        found = step(state, event)
        if isinstance(found, Go) and {F.CLEAR_ALL, F.CLEAR_NAMED} & set(found.effects):
            assert event in (E.CLEAR_CALL, E.CLEAR_PARTY)
            assert "needs-confirmation" in {need.value for need in found.needs}


def test_every_state_can_be_reached_and_left() -> None:
    moves = {
        (state, found.state)
        for state, event in PAIRS
        if isinstance(found := step(state, event), Go) and found.state is not None
    }
    reached, frontier = {S.QUEUED}, [S.QUEUED]
    while frontier:
        here = frontier.pop()
        for source, target in moves:
            if source is here and target not in reached:
                reached.add(target)
                frontier.append(target)
    assert reached == set(S)


def test_the_drawing_in_the_map_of_the_plans_is_the_tables_own() -> None:
    page = Path(__file__).parents[2] / "dialplans" / "README.md"
    drawn = re.search(r"```mermaid\n(.*?)\n```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert drawn is not None, "dialplans/README.md has no mermaid diagram"
    assert drawn[1] == diagram(), "redraw: python -m bridge.domain.conversation"
