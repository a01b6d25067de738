"""A dialplan as Asterisk would load it: contexts, extensions, priorities. Pure, from a `Conf`.

Follows `pbx/pbx_config.c`: what `n` counts from, what `same` belongs to, contexts written in
several places being one. What cannot be loaded is kept as a `Mistake`, for the linter to tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from bridge.asterisk.conf import Conf, Section, Setting
from bridge.asterisk.conf_text import Place
from bridge.asterisk.expression import balanced, split, with_globals

Channel = Literal["citizen", "seat", "third", "leader"]
MistakeKind = Literal[
    "bad-line", "same-without-exten", "missing-priority-1", "duplicate-priority", "unbalanced"
]
CHANNELS: tuple[Channel, ...] = ("citizen", "seat", "third", "leader")

_PRIORITY = re.compile(r"(n|s|hint|\d{1,6})(?:\+(\d{1,6}))?(?:\(([^()]*)\))?")
_APPLICATION = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*(?:\((.*)\)|,(.*))?", re.DOTALL)
_TAG = re.compile(r"channel:\s*(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Priority:
    """One step: an application with its arguments as written."""

    number: int
    label: str
    app: str
    args: str
    place: Place
    context: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.context},{self.pattern},{self.number}"


@dataclass(slots=True)
class Extension:
    """What happens for one number or pattern of a context."""

    context: str
    pattern: str
    place: Place
    priorities: dict[int, Priority] = field(default_factory=dict)
    hint: str = ""

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for more than one number."""
        return self.pattern.startswith("_")

    @property
    def steps(self) -> list[Priority]:
        """The priorities in the order in which they run."""
        return [self.priorities[number] for number in sorted(self.priorities)]

    def find(self, label: str) -> Priority | None:
        """The priority of this number or label."""
        if label.isdecimal():
            return self.priorities.get(int(label))
        return next((p for p in self.steps if p.label == label), None)


@dataclass(slots=True)
class Context:
    """One context, from however many places."""

    name: str
    place: Place
    comment: tuple[str, ...] = ()
    """Its description, without the `channel:` tag."""
    channels: tuple[str, ...] = ()
    """Whose channels run it, from the tag; as written, known or not."""
    extensions: dict[str, Extension] = field(default_factory=dict)
    includes: list[tuple[str, Place]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that Asterisk would refuse, or load otherwise than it was meant."""

    kind: MistakeKind
    place: Place
    text: str


@dataclass(slots=True)
class Dialplan:
    """All contexts and globals, and what was wrong."""

    contexts: dict[str, Context] = field(default_factory=dict)
    globals: dict[str, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def extensions(self) -> Iterator[Extension]:
        """Every extension of every context."""
        for context in self.contexts.values():
            yield from context.extensions.values()

    def priorities(self) -> Iterator[Priority]:
        """Every step of every extension."""
        for extension in self.extensions():
            yield from extension.steps

    def find(self, context: str, number: str, _seen: tuple[str, ...] = ()) -> Extension | None:
        """The extension that a number reaches in a context, through its includes too."""
        here = self.contexts.get(context)
        if here is None or context in _seen:
            return None
        if number in here.extensions:
            return here.extensions[number]
        for extension in sorted(here.extensions.values(), key=lambda e: _breadth(e.pattern)):
            if extension.is_pattern and matches(extension.pattern, number):
                return extension
        for included, _ in here.includes:
            found = self.find(included, number, (*_seen, context))
            if found is not None:
                return found
        return None


def matches(pattern: str, number: str) -> bool:
    """Whether `number` fits an Asterisk pattern that begins with `_`.

    X 0-9, Z 1-9, N 2-9, `[…]` a set, `.` one or more of anything, `!` nothing or more.
    """
    expression = ""
    body = pattern.removeprefix("_").split("/")[0]
    while body:
        sign, body = body[0], body[1:]
        if sign == "[" and "]" in body:
            letters, _, body = body.partition("]")
            expression += "[" + re.sub(r"([\\\]^])", r"\\\1", letters) + "]" if letters else ""
        elif sign in ".!":
            expression += ".+" if sign == "." else ".*"
            break
        else:
            classes = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]"}
            expression += classes.get(sign.upper(), re.escape(sign))
    try:
        return re.fullmatch(expression, number, re.DOTALL) is not None
    except re.error:  # a set such as [9-0], which no number fits
        return False


def _breadth(pattern: str) -> tuple[int, int]:
    """Narrow patterns before wide ones, as Asterisk looks them up; roughly, sets are not ranked."""
    return (2 if pattern.endswith("!") else int(pattern.endswith(".")), -len(pattern))


def build(conf: Conf) -> Dialplan:
    """The dialplan that is written in `conf` (extensions.conf with its includes)."""
    plan = Dialplan()
    for section in conf.sections:
        if section.name == "globals":
            plan.globals.update({item.name: item.value for item in section.items})
    for section in conf.sections:
        if section.name not in ("general", "globals") and not section.template:
            _Reader(plan, section).read()
    for extension in plan.extensions():
        if extension.priorities and 1 not in extension.priorities:
            first = extension.steps[0]
            plan.mistakes.append(Mistake("missing-priority-1", first.place, str(first)))
    return plan


class _Reader:
    """One section into its context."""

    def __init__(self, plan: Dialplan, section: Section) -> None:
        self._plan = plan
        self._section = section
        self._pattern = ""
        self._last = 0
        self._context = plan.contexts.setdefault(section.name, Context(section.name, section.place))
        words, channels = _description(section.comment)
        self._context.comment += words
        self._context.channels += channels

    def read(self) -> None:
        for item in self._section.items:
            if item.name == "exten":
                # `_[1,2]X,1,App(…)`: a pattern may hold commas inside brackets
                pattern, *rest = split(item.value, limit=1)
                self._pattern = with_globals(pattern, self._plan.globals)
                self._step(item, rest[0] if rest else "")
            elif item.name == "same" and self._pattern:
                self._step(item, item.value)
            elif item.name == "same":
                self._mistake("same-without-exten", item, item.value)
            elif item.name == "include":
                self._context.includes.append((split(item.value)[0], item.place))
            elif item.name not in ("switch", "lswitch", "eswitch", "ignorepat", "autohints"):
                self._mistake("bad-line", item, f"{item.name} = {item.value}")

    def _step(self, item: Setting, rest: str) -> None:
        written, _, call = rest.partition(",")
        priority, app = _PRIORITY.fullmatch(written.strip()), _APPLICATION.fullmatch(call.strip())
        if not self._pattern or priority is None:
            self._mistake("bad-line", item, f"{item.name} => {item.value}")
            return
        extension = self._context.extensions.setdefault(
            self._pattern, Extension(self._context.name, self._pattern, item.place)
        )
        if priority[1] == "hint":
            extension.hint = call.strip()
            return
        number = self._number(priority)
        if number < 1:
            self._mistake("missing-priority-1", item, call)
        elif not balanced(call):
            self._mistake("unbalanced", item, call)
        elif app is None:
            self._mistake("bad-line", item, f"{item.name} => {item.value}")
        elif number in extension.priorities:
            first = extension.priorities[number].place
            self._mistake("duplicate-priority", item, f"{self._pattern},{number}: {first}")
        else:
            extension.priorities[number] = Priority(
                number,
                priority[3] or "",
                app[1],
                app[2] if app[2] is not None else app[3] or "",
                item.place,
                self._context.name,
                self._pattern,
            )

    def _mistake(self, kind: MistakeKind, item: Setting, text: str) -> None:
        self._plan.mistakes.append(Mistake(kind, item.place, text[:120]))

    def _number(self, match: re.Match[str]) -> int:
        """`n` is one more than the line before, of whatever extension; 0 when there is none."""
        plus = int(match[2] or 0)
        if match[1] == "n":
            number = self._last + 1 + plus if self._last else 0
        elif match[1] == "s":
            number = self._last + plus if self._last else 0
        else:
            number = int(match[1]) + plus
        self._last = number or self._last
        return number


def _description(comment: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    words: list[str] = []
    channels: list[str] = []
    for line in comment:
        tag = _TAG.fullmatch(line)
        if tag:
            channels += re.split(r"[\s,/]+", tag[1].strip().lower()) if tag[1].strip() else []
        elif line:
            words.append(line)
    return tuple(words), tuple(channels)
