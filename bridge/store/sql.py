"""Reads the store's SQL: named queries and numbered migrations. Decides nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- (?P<name>[a-z_]+): .+$", re.MULTILINE)
_MIGRATION = re.compile(r"^(?P<number>\d{4})\.sql$")


@dataclass(frozen=True, slots=True)
class Migration:
    """One forward step of the schema; `number` is `PRAGMA user_version` once it is done."""

    number: int
    text: str


def parse_queries(text: str) -> dict[str, str]:
    """Split `queries.sql` into name → SQL. Raises ValueError when a name comes twice."""
    marks = list(_NAME.finditer(text))
    queries: dict[str, str] = {}
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        name = mark["name"]
        if name in queries:
            raise ValueError(f"queries.sql: {name} is there twice; give one of them another name")
        queries[name] = text[mark.end() : following.start() if following else None].strip()
    return queries


@cache
def queries() -> dict[str, str]:
    """All named queries of the package."""
    return parse_queries(_text("queries.sql"))


def query(name: str) -> str:
    """The SQL called `name`. Raises KeyError when there is none."""
    return queries()[name]


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations in order. Raises ValueError when a number is missing."""
    found = sorted(
        (int(match["number"]), item.read_text("utf-8"))
        for item in resources.files(__package__).joinpath("schema").iterdir()
        if (match := _MIGRATION.match(item.name))
    )
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"store/schema: numbers must follow on: {[n for n, _ in found]}")
    return tuple(Migration(number, text) for number, text in found)


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
