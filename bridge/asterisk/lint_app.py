"""Linter rules about single applications: time limits, recording, keys, AGI. Pure.

Sources: three-way sheet, section 3 (C, recording, feature keys) and section 4 (FastAGI).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.asterisk.dialplan import Priority
from bridge.asterisk.expression import references
from bridge.asterisk.lint_hit import (
    Hit,
    after,
    asks_heartbeat,
    assignment,
    before,
    hit,
    is_zero,
    steps_of,
)
from bridge.asterisk.routes import Routes, argument, dial_arguments, options

AGI: Final = ("AGI", "EAGI", "DeadAGI")
MAX_AGI_S: Final = 60
MAX_WAIT_S: Final = 600
FEATURE_KEYS: Final = "tThHwWkKxX"
_GUARDS = re.compile(r"AGIEXITONHANGUP|AGISIGHUP|AGISTATUS|TIMEOUT\(.*", re.IGNORECASE)
BOUNDS: Final = {
    "read": (5, "time-out"),
    "wait": (0, "seconds"),
    "waitexten": (0, "seconds"),
    "waitforcondition": (2, "time-out"),
    "musiconhold": (1, "duration"),
    "record": (2, "maximum duration"),
    "waitforsilence": (2, "time-out"),
    "waitfornoise": (2, "time-out"),
    "waitforring": (0, "time-out"),
    "waitdigit": (0, "seconds"),
    "waituntil": (0, "time"),
}
"""Which argument of an application bounds its waiting."""


def dial_without_timeout(routes: Routes) -> Iterator[Hit]:
    """Dial that rings for ever."""
    for step in steps_of(routes, "Dial", "RetryDial"):
        if is_zero(dial_arguments(step)[1].split("^")[0]):
            yield hit(step)


def queue_without_timeout(routes: Routes) -> Iterator[Hit]:
    """Queue that nobody leaves but by hanging up."""
    return (hit(step) for step in steps_of(routes, "Queue") if is_zero(argument(step, 4)))


def queue_without_continue(routes: Routes) -> Iterator[Hit]:
    """Queue without `c`: when the seat hangs up, so must the citizen."""
    for step in steps_of(routes, "Queue"):
        if "c" not in options(argument(step, 1)):
            yield hit(step)


def feature_keys_on_citizen(routes: Routes) -> Iterator[Hit]:
    """Keys that would act on, or be pressed by, a citizen's channel."""
    citizen = routes.citizen()
    for step in routes.plan.priorities():
        if step.context not in citizen:
            continue
        name = assignment(step)[0].lstrip("_").upper()
        if name.startswith(("DYNAMIC_FEATURES", "FEATURE(", "FEATUREMAP")):
            yield hit(step)
        given = _bridge_options(step)
        keys = "".join(letter for letter in FEATURE_KEYS if letter in given)
        if keys:
            yield hit(step, keys)


def _bridge_options(step: Priority) -> dict[str, str]:
    app = step.app.lower()
    if app in ("dial", "retrydial"):
        return options(dial_arguments(step)[2])
    return options(argument(step, 1)) if app in ("queue", "bridge") else {}


def confbridge(routes: Routes) -> Iterator[Hit]:
    """Any conference room: who is added beside it is parted from the citizen when a seat leaves."""
    return (hit(step) for step in steps_of(routes, "ConfBridge", "MeetMe"))


def mixmonitor_mixes(routes: Routes) -> Iterator[Hit]:
    """A recording of both directions in one file: it loses a voice in a third of all handoffs."""
    for step in steps_of(routes, "MixMonitor"):
        if not options(argument(step, 1)).get("r"):
            yield hit(step)


def unbounded_wait(routes: Routes) -> Iterator[Hit]:
    """Waiting for a key, a sound or a condition without an end."""
    for step in routes.plan.priorities():
        bound = BOUNDS.get(step.app.lower())
        if bound is None:
            continue
        given = argument(step, bound[0])
        if is_zero(given) or (given.isdecimal() and int(given) > MAX_WAIT_S):
            yield hit(step, f"{bound[1]}: {given or '-'}")


def agi_on_citizen(routes: Routes) -> Iterator[Hit]:
    """AGI on a citizen's channel: a silent far end holds the call, whatever guards it."""
    citizen = routes.citizen()
    for step in steps_of(routes, *AGI):
        if step.context in citizen:
            yield hit(step, citizen[step.context])
    for step in steps_of(routes, "Queue"):
        if argument(step, 5):  # runs on the channel that is in the queue
            yield hit(step, argument(step, 5))


def agi_without_fallback(routes: Routes) -> Iterator[Hit]:
    """AGI whose answer was not given a value before, or is not looked at afterwards."""
    for step in steps_of(routes, *AGI):
        given = {assignment(s)[0].lstrip("_") for s in before(routes, step)} - {""}
        given = {name for name in given if not _GUARDS.fullmatch(name)}
        read = {reference.name for s in after(routes, step) for reference in references(s.args)}
        if not given & read:
            yield hit(step, ", ".join(sorted(given)))


def agi_unguarded(routes: Routes) -> Iterator[Hit]:
    """AGI without one of the four guards that were measured to hold."""
    for step in steps_of(routes, *AGI):
        missing = [name for name, there in _guards(routes, step).items() if not there]
        if missing:
            yield hit(step, ", ".join(missing))


def _guards(routes: Routes, step: Priority) -> dict[str, bool]:
    above = before(routes, step)
    values = {name.lstrip("_").upper(): value for name, value in map(assignment, above) if name}
    limit = values.get("TIMEOUT(ABSOLUTE)", "")
    t_extension = routes.plan.find(step.context, "T")
    cleared = t_extension is not None and any(map(_clears, t_extension.steps))
    return {
        "heartbeat": any(map(asks_heartbeat, above)),
        "AGIEXITONHANGUP=yes": values.get("AGIEXITONHANGUP", "").lower() in ("yes", "true", "1"),
        f"TIMEOUT(absolute)<={MAX_AGI_S}": not is_zero(limit)
        and not (limit.isdecimal() and int(limit) > MAX_AGI_S),
        "exten T + TIMEOUT(absolute)=0": cleared,
        "TIMEOUT(absolute)=0 after it": any(map(_clears, after(routes, step))),
    }


def _clears(step: Priority) -> bool:
    name, value = assignment(step)
    return name.upper() == "TIMEOUT(ABSOLUTE)" and value == "0"
