"""What a rule of the dialplan linter is, and what it gives: where, and what exactly. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from bridge.asterisk.conf_text import Place
from bridge.asterisk.dialplan import Extension, Priority
from bridge.asterisk.expression import references
from bridge.asterisk.routes import Routes, condition, describe

GOODBYE: Final = "goodbye"
"""The one context that may hang up on a citizen."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a rule is broken."""

    place: Place
    detail: str


Check = Callable[[Routes], Iterable[Hit]]
Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what is wrong where it hits, and how to mend it, for operators zh first."""

    id: str
    severity: Severity
    zh: str
    en: str
    mend_zh: str
    mend_en: str
    check: Check


def hit(step: Priority, detail: str = "") -> Hit:
    """A hit at a step: what it is, and the detail."""
    return Hit(step.place, f"{step}: {describe(step)}" + (f": {detail}" if detail else ""))


def steps_of(routes: Routes, *apps: str) -> Iterator[Priority]:
    """Every step that runs one of these applications."""
    wanted = {app.lower() for app in apps}
    return (step for step in routes.plan.priorities() if step.app.lower() in wanted)


def extension_of(routes: Routes, step: Priority) -> Extension:
    """The extension that the step is part of."""
    return routes.plan.contexts[step.context].extensions[step.pattern]


def before(routes: Routes, step: Priority) -> list[Priority]:
    """The steps of the same extension above it."""
    return [s for s in extension_of(routes, step).steps if s.number < step.number]


def after(routes: Routes, step: Priority) -> list[Priority]:
    """The steps of the same extension below it."""
    return [s for s in extension_of(routes, step).steps if s.number > step.number]


def is_zero(text: str) -> bool:
    """Whether a time is missing or nought; one that is only known in the call is taken as given."""
    try:
        return float(text or 0) <= 0
    except ValueError:
        return False


def assignment(step: Priority) -> tuple[str, str]:
    """Name and value of `Set(NAME=value)`; two empty strings for every other step."""
    if step.app.lower() not in ("set", "mset"):
        return "", ""
    name, _, value = step.args.partition("=")
    return name.strip(), value.strip()


def asks_heartbeat(step: Priority) -> bool:
    """Whether the step branches on the daemon's heartbeat: a global with that word in its name."""
    return step.app.lower() == "gotoif" and any(
        "HEARTBEAT" in f"{reference.name} {reference.argument}".upper()
        for reference in references(condition(step.args))
    )
