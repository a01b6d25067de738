"""Where outside text comes in (doors) and where it comes out (outputs).

A door is a function that takes a ground and the whole corpus and pushes every string through. An
output is a function that takes the same ground and fails where a string did more than be shown.
Each is registered by one line, its decorator; the tests run every door of a ground and then all its
outputs. A later door (orders, mail, fax, radio) is one more decorated function, in a module of
tests/attack called `doors_*.py`, on a ground that is there already or its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.attack.corpus import Hostile

Push = Callable[[Any, Sequence[Hostile]], Awaitable[None]]
Check = Callable[[Any, Sequence[Hostile]], Awaitable[None]]

DOORS: Final[dict[str, dict[str, Push]]] = {}
OUTPUTS: Final[dict[str, dict[str, Check]]] = {}


def door(ground: str, name: str) -> Callable[[Push], Push]:
    """Register a way in."""

    def take(push: Push) -> Push:
        here = DOORS.setdefault(ground, {})
        assert name not in here, f"door {name} of {ground} is there already"
        here[name] = push
        return push

    return take


def output(ground: str, name: str) -> Callable[[Check], Check]:
    """Register a way out."""

    def take(check: Check) -> Check:
        here = OUTPUTS.setdefault(ground, {})
        assert name not in here, f"output {name} of {ground} is there already"
        here[name] = check
        return check

    return take


def find() -> None:
    """Load every module that registers doors."""
    for file in sorted(Path(__file__).parent.glob("doors_*.py")):
        importlib.import_module(f"tests.attack.{file.stem}")
