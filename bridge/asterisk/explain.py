"""What happens to a call, step by step, as the plan is written: `dialplan explain`. Pure.

Follows the caller's channel through every context that it may come to, and describes the steps a
person asks about: who is asked, for how long, what then, which queue, which words, what is
recorded, how it ends. Nothing is evaluated: where the plan branches, every way is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.asterisk.dialplan import Extension, Priority
from bridge.asterisk.explain_steps import Step, Teller
from bridge.asterisk.lint_hit import assignment
from bridge.asterisk.plan_files import PlanFiles
from bridge.asterisk.routes import Routes, Target, targets

ENTRY: Final = "from-trunk"
CHANNEL_WORDS: Final = {"citizen": "群众", "seat": "坐席", "third": "第三方", "leader": "班长"}
_NUMBER = re.compile(r"[0-9*#+]{1,32}")


@dataclass(frozen=True, slots=True)
class Part:
    """One extension that the call may come to."""

    context: str
    extension: str
    place: str
    whose: str
    """Whose channel runs it, by the context's tag: `citizen`, `seat`, `third`, `leader`."""
    comment: str
    steps: tuple[Step, ...]

    def as_json(self) -> dict[str, object]:
        """The part for programs."""
        return {
            "context": self.context,
            "extension": self.extension,
            "place": self.place,
            "whose": self.whose,
            "comment": self.comment,
            "steps": [step.as_json() for step in self.steps],
        }


@dataclass(slots=True)
class _Walk:
    routes: Routes
    teller: Teller
    seen: set[tuple[str, str]] = field(default_factory=set)

    def parts(self, start: Extension) -> Iterator[Part]:
        todo = [start]
        while todo:
            extension = todo.pop(0)
            key = (extension.context, extension.pattern)
            if key not in self.seen:
                self.seen.add(key)
                yield self._part(extension)
                todo += self._leads(extension)

    def _part(self, extension: Extension) -> Part:
        context = self.routes.plan.contexts[extension.context]
        return Part(
            extension.context,
            extension.pattern,
            str(extension.place),
            ", ".join(context.channels) or "?",
            " ".join(context.comment),
            tuple(step for step in map(self.teller.tell, extension.steps) if step is not None),
        )

    def _leads(self, extension: Extension) -> Iterator[Extension]:
        """Where the steps lead: the caller's own ways first, then those of whoever answers."""
        found = [t for step in extension.steps for t in (*targets(step), *self._keys(step))]
        for target in sorted(found, key=lambda t: not t.same_channel):
            reached = self.routes.extension(target)
            if reached is not None:
                yield reached

    def _keys(self, step: Priority) -> list[Target]:
        """Where the keys lead that this step gives to a telephone."""
        name, value = assignment(step)
        if name.lstrip("_").upper() != "DYNAMIC_FEATURES":
            return []
        return [t for t in self.routes.features if t.step.pattern in value.split("#")]


def explain(
    number: str,
    files: PlanFiles,
    *,
    context: str = ENTRY,
    seats: Sequence[Mapping[str, object]] | None = None,
) -> list[Part]:
    """The way of a call that dials `number` in `context`; the first part is where it enters.

    `seats`, where given, are the queue's members as they are now (`--now`): mappings with any of
    `seat`, `name`, `state`, `paused`. Raises ValueError for what is no number, LookupError where
    the plan has no such context, or no place for the number.
    """
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"{number!r} is no number: digits, *, # and + only")
    plan = files.routes.plan
    if context not in plan.contexts:
        known = ", ".join(sorted(plan.contexts))
        raise LookupError(f"no context [{context}]; there are: {known}")
    start = plan.find(context, number) or plan.find(context, "i")
    if start is None:
        raise LookupError(f"[{context}] has no place for {number} and no i: the call is refused")
    teller = Teller(files.routes, files.queues, files.prompts, seats)
    return list(_Walk(files.routes, teller).parts(start))


def render(parts: Sequence[Part]) -> str:
    """The parts for people, zh-CN before English."""
    lines: list[str] = []
    for part in parts:
        zh = "、".join(CHANNEL_WORDS.get(name, name) for name in part.whose.split(", "))
        lines += [
            f"[{part.context}] {part.extension} · {zh} / {part.whose} · {part.place}",
            *([f"  ; {part.comment}"] if part.comment else []),
            *(f"  {step}" for step in part.steps),
            "",
        ]
    return "\n".join(lines)
