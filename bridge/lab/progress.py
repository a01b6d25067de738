"""Short lines that show what set-up is doing, and the error that ends it. Standard error only."""

from __future__ import annotations

import sys


class SetupError(Exception):
    """Something the laboratory needs is not there. The text names the place and the mend."""


def say(zh: str, en: str) -> None:
    """One line of progress, Chinese first."""
    print(f"{zh} / {en}", file=sys.stderr, flush=True)


def detail(line: str) -> None:
    """One line of a program that is at work below the last `say`."""
    print(f"    {line.rstrip()[:110]}", file=sys.stderr, flush=True)
