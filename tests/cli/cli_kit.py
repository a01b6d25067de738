"""The command line with a store that holds one whole case."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from typer.testing import CliRunner

from bridge.cli import app
from bridge.domain.call import Book
from bridge.domain.journal import Fact, Json
from bridge.flows.ports import Transaction
from bridge.flows.rows import rows_after
from bridge.store import Options, open_store
from tests.settings.settings_kit import make_places, shipped

CASE = "20261124-0001"
CALL = "1732412345.17"
NUMBER = "13800001234"
BEGUN = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str


def run(*arguments: object) -> Answer:
    """One command; an error of ours is raised as it is (`__main__` makes it a status)."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    return Answer(result.exit_code, result.stdout, result.stderr)


def make_config(root: Path) -> Path:
    """The shipped settings with directories of their own."""
    config = root / "bridge.toml"
    config.write_text(make_places(root, shipped()), encoding="utf-8")
    return config


def facts() -> list[Fact]:
    """A citizen calls, seat 8001 answers, 12345 joins and stays."""

    def fact(name: str, after: float, subject: str, /, late: bool = False, **data: Json) -> Fact:
        at = BEGUN + timedelta(seconds=after)
        learnt = at + timedelta(minutes=1) if late else None
        return Fact(name, at, CASE, CALL, subject, "switch", data, learnt_at=learnt)

    return [
        fact("call.offered", 0, CALL, channel="PJSIP/trunk-1", number=NUMBER, entry="110", back=""),
        fact("call.originated", 1, "s1", channel="PJSIP/8001-2", role="seat", name="seat-8001"),
        fact("call.established", 2.4, CALL, bridge="b1"),
        fact("call.established", 2.5, "s1", bridge="b1"),
        fact("handoff.requested", 10, "h1", kind="three-way", target="12345", seat="8001"),
        fact("handoff.joined", 15, "h1", late=True),
        fact("something.newer", 16, "s1"),
        fact("handoff.ended", 60, "h1", outcome="completed"),
        fact("call.cleared", 60, CALL, outcome="citizen_left"),
    ]


async def fill(config: Path, made: list[Fact]) -> Path:
    """Write these facts with the rows that follow from them into the configured store."""
    path = config.parent / "var-lib-bridge110" / "bridge110.db"
    book = Book()
    async with open_store(
        path,
        site="linyi",
        now=lambda: BEGUN,
        monotonic=lambda: 0.0,
        publish=lambda _: None,
        options=Options(ballast_bytes=0),
    ) as store:
        for one in made:
            book.apply(one)
            await store.commit(Transaction([one], rows_after(book, [one])))
    return path
