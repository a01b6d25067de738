"""Whatever was changed in the file is found and its place named."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import apsw
import pytest

from bridge.flows.ports import StoreError
from bridge.store import Head
from bridge.store.verify import verify
from tests.store.store_kit import SITE, decision, opened


@pytest.fixture
async def journal(tmp_path: Path) -> Path:
    """A store of 300 entries, closed."""
    async with opened(tmp_path) as store:
        await asyncio.gather(*(store.commit(decision(n, f"case-{n % 7}")) for n in range(300)))
    return tmp_path / "site.db"


def edit(path: Path, *statements: str) -> None:
    """Change the file as somebody with SQLite and time would."""
    connection = apsw.Connection(str(path))
    connection.execute("DROP TRIGGER journal_is_never_edited; DROP TRIGGER journal_is_never_cut")
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def test_a_whole_journal_proves_itself_to_its_head(journal: Path) -> None:
    told: list[tuple[int, int]] = []
    verdict = verify(journal, progress=lambda done, total: told.append((done, total)))
    assert verdict.fault is None
    assert (verdict.head.site, verdict.head.seq) == (SITE, 300)
    assert told == [(300, 300)]
    assert verify(journal, [verdict.head]).fault is None


async def test_one_byte_changed_anywhere_in_the_file_is_found_and_its_page_named(
    journal: Path,
) -> None:
    whole = journal.read_bytes()
    chance = random.Random(1)
    edges = [0, 16, 17, 18, 19, 20, 21, 28, 99, 100, len(whole) - 1]
    for offset in edges + [chance.randrange(len(whole)) for _ in range(200)]:
        changed = bytearray(whole)
        changed[offset] ^= 1 << chance.randrange(8)
        journal.write_bytes(changed)
        verdict = verify(journal, at_rest=True)
        assert verdict.fault is not None, f"byte {offset}"
        assert f"page {offset // 4096 + 1} " in str(verdict.fault), f"byte {offset}"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("body = replace(body, '\"n\":', '\"m\":')", "text and hash"),
        ("body = body || ' '", "text and hash"),
        ("hash = substr(hash, 2) || 'x'", "text and hash"),
        ("prev = substr(prev, 2) || 'x'", "does not continue"),
        ("site = 'north'", "site is 'north'"),
        ("kind = 'case.closed'", "column kind"),
        ("at = '2026-01-01T00:00:00.000000+00:00'", "column at"),
        ("case_no = NULL", "column case_no"),
        ("call = 'call-2'", "column call"),
        ("subject = 'x'", "column subject"),
    ],
)
async def test_an_edited_line_is_named(journal: Path, change: str, what: str) -> None:
    edit(journal, f"UPDATE journal SET {change} WHERE seq = 123")
    verdict = verify(journal)
    assert verdict.fault is not None
    assert str(verdict.fault).startswith("entry 123: ")
    assert what in verdict.fault.what
    assert verdict.head.seq == 122


async def test_a_line_edited_with_its_own_hash_breaks_at_the_next(journal: Path) -> None:
    edit(
        journal,
        "UPDATE journal SET hash = (SELECT hash FROM journal WHERE seq = 9), "
        "prev = (SELECT prev FROM journal WHERE seq = 9), "
        "body = (SELECT body FROM journal WHERE seq = 9) WHERE seq = 123",
    )
    assert str(verify(journal).fault).startswith("entry 123: does not continue")


async def test_a_missing_line_is_named(journal: Path) -> None:
    edit(journal, "DELETE FROM journal WHERE seq BETWEEN 50 AND 52")
    assert str(verify(journal).fault) == "entry 53: entries 50 to 52 are missing"


async def test_a_tail_cut_off_shows_against_a_published_head(journal: Path) -> None:
    published = verify(journal).head
    edit(journal, "DELETE FROM journal WHERE seq > 290")
    assert verify(journal).fault is None  # the chain alone cannot know
    verdict = verify(journal, [Head.parse(str(published))])
    assert verdict.head.seq == 290
    assert str(verdict.fault).startswith("entry 291: entries 291 to 300 were cut off")


async def test_a_rewritten_history_shows_against_a_published_head(journal: Path) -> None:
    head = Head(SITE, 200, "0" * 64)
    assert str(verify(journal, [head]).fault).startswith("entry 200: is another than the one publ")


async def test_damage_outside_the_journal_is_told_too(journal: Path) -> None:
    edit(journal, "PRAGMA writable_schema = 1", "DELETE FROM sqlite_schema WHERE name = 'leg'")
    assert verify(journal).fault is not None


def test_no_file_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        verify(tmp_path / "site.db")


@pytest.mark.parametrize("text", ["", "a b c", "a 1", "a -1 " + "0" * 64, "a 1 00"])
def test_a_published_head_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="site seq hash"):
        Head.parse(text)
