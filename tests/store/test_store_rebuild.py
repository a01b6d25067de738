"""The state tables follow from the journal, and where they do not it is told."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from bridge.flows.ports import StoreError
from bridge.store.rebuild import check
from tests.store.store_kit import decision, opened, replay


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A store of twenty decisions about three cases, closed."""
    async with opened(tmp_path) as store:
        for n in range(20):
            await store.commit(decision(n, f"case-{n % 3}"))
    return tmp_path / "site.db"


def change(path: Path, statement: str) -> None:
    """Change a state behind the journal's back."""
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()


async def test_states_that_follow_from_the_journal_differ_in_nothing(path: Path) -> None:
    assert check(path, replay) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE case_ SET state = 'closed' WHERE id = 'case-1'", "case case-1: state is 'closed'"),
        ("UPDATE case_ SET doc = '{\"n\":4}' WHERE id = 'case-1'", "case case-1: doc.n is 4"),
        ("UPDATE case_ SET case_no = NULL WHERE id = 'case-1'", "case case-1: case is None"),
        (
            "DELETE FROM case_ WHERE id = 'case-1'",
            "case case-1: row is None, by the journal 'open'",
        ),
        (
            "INSERT INTO seat VALUES ('8001', NULL, 'ready', '{}', '', 1, 1)",
            "seat 8001: row is 'ready', by the journal None",
        ),
    ],
)
async def test_each_difference_is_told_by_record_and_field(
    path: Path, statement: str, told: str
) -> None:
    change(path, statement)
    (difference,) = check(path, replay)
    assert str(difference).startswith(told)


async def test_an_entry_that_is_no_fact_is_named(path: Path) -> None:
    change(path, "DROP TRIGGER journal_is_never_edited")
    change(path, "UPDATE journal SET body = '{}' WHERE seq = 5")
    with pytest.raises(StoreError, match="entry 5 is not a fact"):
        check(path, replay)
