"""Linter rules about where calls go, and that no citizen is dropped. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.asterisk.conf_text import Place
from bridge.asterisk.dialplan import Extension
from bridge.asterisk.lint_hit import GOODBYE, Hit, hit, steps_of
from bridge.asterisk.routes import Routes, Target, branches, options, targets
from bridge.asterisk.routes import dial_arguments as dial_args

ENDS: Final = frozenset({"hangup", "busy", "congestion", "softhangup"})
_DIALABLE = re.compile(r"_[0-9XZNxzn+*#\[\]\-]*[.!](?:/.*)?")


def unknown_target(routes: Routes) -> Iterator[Hit]:
    """A Goto, Gosub, branch, option or key that leads nowhere."""
    for target in routes.all_targets():
        problem = _problem(routes, target)
        if problem:
            yield Hit(target.step.place, f"{target.step}: {target}: {problem}")
    for context in routes.plan.contexts.values():
        for name, place in context.includes:
            if name not in routes.plan.contexts:
                yield Hit(place, f"include => {name}: no context [{name}]")


def _problem(routes: Routes, target: Target) -> str:
    full = routes.filled(target)
    if "${" in full.context:
        return ""  # known only in the call
    if full.context not in routes.plan.contexts:
        return f"no context [{full.context}]"
    if "${" in full.exten:
        prefix = full.exten.partition("${")[0]
        caught = _catch_all(routes, full.context, prefix)
        return "" if caught else f"no catch-all _{prefix}! beside it in [{full.context}]"
    extension = routes.extension(target)
    if extension is None:
        return f"no extension {full.exten} in [{full.context}]"
    if "${" in full.label or extension.find(full.label) is not None:
        return ""
    return f"no label or priority {full.label} in {full.context},{full.exten}"


def _catch_all(routes: Routes, context: str, prefix: str) -> bool:
    patterns = routes.plan.contexts[context].extensions
    return any(p in patterns for p in (f"_{prefix}!", f"_{prefix}.", "_!", "_.", "_X!", "_X."))


def citizen_leaves(routes: Routes) -> Iterator[Hit]:
    """A way by which a citizen's channel comes into a context that is not marked as theirs."""
    for name, way in routes.citizen().items():
        context = routes.plan.contexts[name]
        if context.channels and "citizen" not in context.channels:
            yield Hit(context.place, f"[{name}] channel: {', '.join(context.channels)}; {way}")


def pattern_to_dial(routes: Routes) -> Iterator[Hit]:
    """A pattern of any length that digits from outside fit, from which a Dial can be reached."""
    for extension in routes.plan.extensions():
        if _DIALABLE.fullmatch(extension.pattern):
            found = _dials(routes, extension)
            if found:
                where = f"{extension.context},{extension.pattern}"
                yield Hit(extension.place, f"{where}: Dial {found}")


def _dials(routes: Routes, start: Extension) -> Place | None:
    todo, seen = [start], {id(start)}
    while todo:
        for step in todo.pop().steps:
            if step.app.lower() in ("dial", "retrydial"):
                return step.place
            for target in targets(step):
                extension = routes.extension(target)
                if target.same_channel and extension is not None and id(extension) not in seen:
                    seen.add(id(extension))
                    todo.append(extension)
    return None


def citizen_hangup(routes: Routes) -> Iterator[Hit]:
    """An end of a citizen's call outside [goodbye]. Refusing an unknown number (`i`) is none."""
    citizen = routes.citizen()
    for step in steps_of(routes, *ENDS):
        if step.context in citizen and step.context != GOODBYE and step.pattern not in ("i", "h"):
            yield hit(step, citizen[step.context])


def citizen_falls_off(routes: Routes) -> Iterator[Hit]:
    """An extension whose last step goes on to nowhere: Asterisk hangs up there."""
    for name, way in routes.citizen().items():
        for extension in routes.plan.contexts[name].extensions.values():
            if extension.pattern == "h" or not extension.priorities:
                continue
            numbers = sorted(extension.priorities)
            # a gap in the numbers ends the call as well
            last = next(n for n in numbers if n + 1 not in extension.priorities)
            step = extension.priorities[last]
            if not _goes_on(step.app.lower(), step.args):
                yield hit(step, way)


def _goes_on(app: str, args: str) -> bool:
    if app in ("gotoif", "gotoiftime"):
        return len(branches(args)) == 2
    return app in ENDS | {"goto", "return", "stackpop"}


def dial_drops_citizen(routes: Routes) -> Iterator[Hit]:
    """Dial without `g` on a citizen's channel: when the other side leaves, so must the citizen."""
    citizen = routes.citizen()
    for step in steps_of(routes, "Dial", "RetryDial"):
        if step.context in citizen and "g" not in options(dial_args(step)[2]):
            yield hit(step, citizen[step.context])
