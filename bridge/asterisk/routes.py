"""Where a dialplan leads: the targets of each step, and what runs on whose channel. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from bridge.asterisk.conf import Conf
from bridge.asterisk.dialplan import Context, Dialplan, Extension, Priority
from bridge.asterisk.expression import matching, split, with_globals


@dataclass(frozen=True, slots=True)
class Target:
    """One place that a step may lead to. Empty parts mean: where the step itself is."""

    context: str
    exten: str
    label: str
    step: Priority
    same_channel: bool = True
    """False where another channel goes there: the one that answers, or is called or moved."""
    whose: str = ""
    """The channel that goes there, as written, where the step names it (`Bridge`)."""

    def __str__(self) -> str:
        return f"{self.context or self.step.context},{self.exten},{self.label}"


def options(text: str) -> dict[str, str]:
    """`cr(ring)U(x^1)` as letters with what stands in their parentheses."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        letter, at = text[at], at + 1
        argument = ""
        if text[at : at + 1] == "(":
            end = matching(text, at)
            argument, at = text[at + 1 : end], end + 1
        found[letter] = argument
    return found


def argument(step: Priority, index: int) -> str:
    """The argument at `index` of the step, empty where there is none."""
    parts = split(step.args)
    return parts[index] if index < len(parts) else ""


def dial_arguments(step: Priority) -> list[str]:
    """Destination, time-out and options of Dial, also inside RetryDial."""
    parts = split(step.args)
    parts = parts[3:] if step.app.lower() == "retrydial" else parts
    return [*parts, "", "", ""][:3]


def targets(step: Priority) -> Iterator[Target]:
    """Everything that the step may lead to."""
    app = step.app.lower()
    if app in ("goto", "gosub"):
        yield from _branch(step, step.args)
    elif app in ("gotoif", "gosubif", "gotoiftime"):
        for branch in branches(step.args):
            yield from _branch(step, branch)
    elif app in ("execif", "execiftime", "exec", "tryexec"):
        for inner in inner_steps(step):
            yield from targets(inner)
    elif app == "queue" and argument(step, 6):
        parts = split(argument(step, 6).replace("^", ","))
        yield _target(step, [*parts, "s", "1"][:3] if len(parts) < 3 else parts, same=False)
    elif app in ("dial", "retrydial"):
        yield from _dial(step)
    elif app == "bridge" and options(argument(step, 1)).get("F"):
        parts = split(options(argument(step, 1))["F"], "^")
        yield replace(_target(step, parts, same=False), whose=argument(step, 0))
    elif app == "originate" and argument(step, 1).lower() == "exten":
        parts = [argument(step, 2), argument(step, 3) or "s", argument(step, 4) or "1"]
        yield _target(step, parts, same=False)
    elif app == "channelredirect":
        yield replace(_target(step, split(step.args)[1:], same=False), whose=argument(step, 0))


def branches(args: str) -> list[str]:
    """The targets of `condition?yes:no` that are not empty."""
    parts = split(args, "?", 1)
    return [branch for branch in split(parts[1], ":", 1) if branch] if len(parts) == 2 else []


def condition(args: str) -> str:
    """What stands before the `?`."""
    return split(args, "?", 1)[0]


def inner_steps(step: Priority) -> Iterator[Priority]:
    """The applications that ExecIf, Exec or TryExec may run, as steps of their own."""
    calls = branches(step.args) if step.app.lower().startswith("execif") else [step.args]
    for call in calls:
        name, opening, rest = call.partition("(")
        inside = rest[: matching("(" + rest, 0) - 1] if opening else ""
        yield replace(step, app=name.strip(), args=inside)


def _branch(step: Priority, written: str) -> Iterator[Target]:
    parts = split(written)
    parts[-1] = _before_call(parts[-1])
    if any(parts):
        yield _target(step, parts)


def _before_call(text: str) -> str:
    """`1(${A},b)` is the label 1 with arguments; brackets inside `${…}` are not theirs."""
    at = 0
    while at < len(text):
        if text[at] == "(":
            return text[:at]
        if text.startswith(("${", "$["), at):
            at = matching(text, at + 1)
        at += 1
    return text


def _target(step: Priority, parts: list[str], *, same: bool = True) -> Target:
    context, exten, label = ["", "", "", *parts][-3:]
    return Target(context, exten or step.pattern, label or "1", step, same)


def _dial(step: Priority) -> Iterator[Target]:
    given = options(dial_arguments(step)[2])
    if given.get("U"):  # a context name, then arguments
        yield _target(step, [split(given["U"], "^")[0], "s", "1"], same=False)
    for letter, same in (("b", False), ("B", True), ("F", False), ("G", True)):
        if given.get(letter):
            yield _target(step, split(_before_call(given[letter]), "^"), same=same)


@dataclass(slots=True)
class Routes:
    """A dialplan with the keys that features.conf gives, and questions about where it leads."""

    plan: Dialplan
    features: list[Target] = field(default_factory=list)
    """Where the keys of `[applicationmap]` lead: always the channel that is given the key."""

    def all_targets(self) -> Iterator[Target]:
        """The targets of every step, and of every key."""
        for step in self.plan.priorities():
            yield from targets(step)
        yield from self.features

    def filled(self, target: Target) -> Target:
        """The target with the plan's globals filled in."""
        values = self.plan.globals
        return replace(
            target,
            context=with_globals(target.context, values) or target.step.context,
            exten=with_globals(target.exten, values),
            label=with_globals(target.label, values),
        )

    def extension(self, target: Target) -> Extension | None:
        """The extension that the target reaches, if it is known before the call."""
        full = self.filled(target)
        context = self.plan.contexts.get(full.context)
        if context is None:
            return None
        # A target written as the step's own pattern (`Goto(again)` inside `_XXX`) is that extension
        return context.extensions.get(full.exten) or self.plan.find(full.context, full.exten)

    def contexts_of(self, channel: str) -> list[Context]:
        """The contexts that are marked as run by this channel."""
        return [c for c in self.plan.contexts.values() if channel in c.channels]

    def reached(self, start: Iterable[str]) -> dict[str, str]:
        """Every context that a channel in one of `start` can come to, with the way there."""
        way = {name: name for name in start if name in self.plan.contexts}
        todo = list(way)
        while todo:
            context = self.plan.contexts[todo.pop()]
            leads = [
                self.filled(target).context
                for extension in context.extensions.values()
                for step in extension.steps
                for target in targets(step)
                if target.same_channel
            ]
            for name in [*leads, *(included for included, _ in context.includes)]:
                if name in self.plan.contexts and name not in way:
                    way[name] = f"{way[context.name]} → {name}"
                    todo.append(name)
        return way

    def citizen(self) -> dict[str, str]:
        """What runs, or may run, on a citizen's channel: marked, reached, or sent there."""
        sent = [
            self.filled(target).context
            for target in self.all_targets()
            if "CITIZEN" in target.whose
        ]
        return self.reached([*(c.name for c in self.contexts_of("citizen")), *sent])


def feature_targets(features: Conf | None) -> list[Target]:
    """The `Gosub` and `Goto` keys of features.conf."""
    section = features.section("applicationmap") if features else None
    found: list[Target] = []
    for item in section.items if section else ():
        parts = split(item.value)
        if len(parts) >= 4:
            app = parts[2].split("(")[0]
            args = ",".join(parts[3:]).strip('"')
            step = Priority(1, "", app, args, item.place, "features.conf", item.name)
            found += [replace(target, same_channel=False) for target in targets(step)]
    return found


def describe(step: Priority) -> str:
    """The step as it was written, for messages."""
    text = f"{step.app}({step.args})"
    return text if len(text) <= 90 else text[:89] + "…"
