"""How commands answer: words or JSON on standard output, faults on standard error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from bridge import plain
from bridge.settings.file import load
from bridge.settings.model import DEFAULT_CONFIG, Settings

T = TypeVar("T")

MASKED: Final = 4
"""Digits hidden in the middle of a telephone number (guard.md S21)."""

AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]
Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="BRIDGE110_CONFIG", help="配置文件 / settings file"),
]


class CommandError(Exception):
    """The command could not be done (exit status 1); the text names place and mend, zh-CN first."""


def settings_of(config: Path = DEFAULT_CONFIG, *, look_at_disk: bool = False) -> Settings:
    """The settings for a command. Raises SettingsError, which ends it with status 1."""
    return load(config, look_at_disk=look_at_disk)


def emit(as_json: bool, document: Mapping[str, object], words: str) -> None:
    """The answer of a command, for programs or for people."""
    typer.echo(json_text(document) if as_json else words)


def json_text(document: object, indent: int | None = 1) -> str:
    """JSON as it is printed: Chinese as it is, what would act on a terminal escaped."""
    return plain.dumps(document, indent=indent)


def tell(words: str) -> None:
    """A line for people, beside the answer."""
    typer.echo(words, err=True)


def progress(done: int, total: int) -> None:
    """How far a long command is; only where somebody looks at a terminal."""
    if sys.stderr.isatty() and total:
        sys.stderr.write(f"\r{100 * done // total:3d} %" + ("\n" if done >= total else ""))
        sys.stderr.flush()


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run the asynchronous part of a command."""
    return asyncio.run(work)


def masked(number: str) -> str:
    """A telephone number as it may be shown outside the store: `138****1234`."""
    if len(number) <= MASKED:
        return number
    left = max(0, (len(number) - MASKED) // 2)
    return number[:left] + "*" * MASKED + number[left + MASKED :]


def shown(text: object) -> str:
    """Outside text made safe for a terminal: no control or direction character acts."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(text))


def shown_lines(text: object) -> str:
    """As `shown`, of a text that has lines of its own."""
    return "\n".join(shown(line) for line in str(text).split("\n"))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns that line up; a Chinese character is two columns wide."""
    if not rows:
        return ""
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell + " " * (wide - _width(cell)) for cell, wide in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _width(text: str) -> int:
    return sum(2 if ord(c) >= 0x2E80 else 1 for c in text)
