"""What is known of a case beside its calls: place, words, category …, and who commands it.

The 110 desk commands (LL-29). What kind and gravity of a matter call for a special plan, the site
says (`CommandRule`); then 110 directs the early disposal until it has reported and handed the
command to the body of that plan (LL-28, LL-30). Pure; a file is the fold of its `case.` facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from bridge.domain.attachment import MAX_OF_CASE
from bridge.domain.errors import Refused
from bridge.domain.journal import Fact, Json, iso, parse_iso

GROUP: Final = "case"
HUB: Final = "110"
"""Who commands where nobody else does: the desk itself."""


class Mode(StrEnum):
    """How a case is commanded."""

    DIRECT = "direct"  # by 110, no special plan
    EARLY = "early"  # a special plan has to be started; 110 directs the early disposal
    SPECIAL = "special"  # the command has been handed to the body of the plan


@dataclass(frozen=True, slots=True)
class CommandRule:
    """Matters that need a special plan: categories that begin so, of these grades (1 the gravest,
    4 the least; none: any), its name, and the unit that commands then."""

    category: str
    grades: frozenset[int]
    plan: str
    body: str

    def holds(self, category: str, grade: int | None) -> bool:
        """Whether the rule is for that kind and gravity."""
        return category.startswith(self.category) and (not self.grades or grade in self.grades)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a seat writes of a case; None leaves a member as it is."""

    klass: str | None = None
    category: str | None = None
    grade: int | None = None
    area: str | None = None
    place: str | None = None
    words: str | None = None
    caller_name: str | None = None
    drill: bool | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """Who commands, since when and why. `body` and `plan`: of the special plan that is due or
    started; `reported_at`: when 110 reported; `orders`: those of the early disposal."""

    mode: Mode = Mode.DIRECT
    holder: str = HUB
    since: datetime | None = None
    by: str = ""
    plan: str = ""
    body: str = ""
    reported_at: str | None = None
    orders: tuple[str, ...] = ()
    why: str = ""


@dataclass(slots=True)
class CaseFile:
    """One case (求助件) as it was described, and the history of its command."""

    case: str
    klass: str = ""
    category: str = ""
    grade: int | None = None
    area: str = ""
    place: str = ""
    words: str = ""
    caller_name: str = ""
    drill: bool = False
    attachments: list[str] = field(default_factory=list)
    command: Command = Command()
    commands: list[Command] = field(default_factory=list)
    described_at: datetime | None = None
    described_by: str = ""

    def apply(self, fact: Fact) -> None:
        """Let one fact of this case take effect; facts of other kinds change nothing."""
        data: Mapping[str, Any] = fact.data
        if fact.kind == "case.described":
            for name in _DESCRIBED:
                if name in data:
                    setattr(self, name, data[name])
            self.described_at, self.described_by = fact.at, fact.actor
        elif fact.kind == "case.attached":
            self.attachments += [str(one) for one in data["attachments"]]
        elif fact.kind == "case.command":
            self.command = Command(
                mode=Mode(data["mode"]),
                holder=data["holder"],
                since=fact.at,
                by=fact.actor,
                plan=data["plan"],
                body=data["body"],
                reported_at=data["reported_at"],
                orders=tuple(data["orders"]),
                why=data["why"],
            )
            self.commands.append(self.command)


def from_doc(doc: Mapping[str, Any]) -> CaseFile:
    """A file from its row."""
    values = dict(doc)
    values["command"] = _command(doc["command"])
    values["commands"] = [_command(one) for one in doc["commands"]]
    values["described_at"] = _time(doc["described_at"])
    return CaseFile(**values)


def _command(doc: Mapping[str, Any]) -> Command:
    values = {**doc, "mode": Mode(doc["mode"]), "orders": tuple(doc["orders"])}
    return Command(**{**values, "since": _time(doc["since"])})


def _time(text: str | None) -> datetime | None:
    return parse_iso(text) if text else None


_DESCRIBED: Final = tuple(one.name for one in fields(Description))


class FileBook:
    """Files by number, as the fold of a journal."""

    def __init__(self) -> None:
        self.files: dict[str, CaseFile] = {}

    def apply(self, fact: Fact) -> None:
        """Let one fact take effect."""
        if fact.kind in FILE_FACTS and fact.case is not None:
            self.files.setdefault(fact.case, CaseFile(fact.case)).apply(fact)


FILE_FACTS: Final = frozenset({"case.described", "case.command", "case.attached"})


@dataclass(slots=True)
class FileWork:
    """A decision about one file: what it says takes effect at once."""

    file: CaseFile
    now: datetime
    actor: str
    rules: Sequence[CommandRule] = ()
    facts: list[Fact] = field(default_factory=list)

    def say(self, kind: str, data: Mapping[str, Json]) -> None:
        """One fact; the file moves with it."""
        fact = Fact(kind, self.now, self.file.case, None, self.file.case, self.actor, data)
        self.facts.append(fact)
        self.file.apply(fact)

    def command(self, mode: Mode, holder: str, why: str, **more: Json) -> None:
        """The command changes; what is not named is empty."""
        self.say(
            "case.command",
            {
                "from": self.file.command.holder,
                "mode": mode.value,
                "holder": holder,
                "why": why,
                "plan": "",
                "body": "",
                "reported_at": None,
                "orders": [],
                **more,
            },
        )


def describe(work: FileWork, said: Description) -> None:
    """Write what is new; who commands follows from category and grade (LL-28)."""
    new = {
        name: getattr(said, name)
        for name in _DESCRIBED
        if getattr(said, name) not in (None, getattr(work.file, name))
    }
    if new:
        work.say("case.described", new)
        _derive(work)


def _derive(work: FileWork) -> None:
    file = work.file
    if file.command.mode is Mode.SPECIAL:
        return  # a plan that runs is ended by a person
    rule = next((one for one in work.rules if one.holds(file.category, file.grade)), None)
    mode = Mode.DIRECT if rule is None else Mode.EARLY
    plan, body = (rule.plan, rule.body) if rule is not None else ("", "")
    if (mode, plan, body) != (file.command.mode, file.command.plan, file.command.body):
        why = f"{file.category}/{file.grade or '-'}"
        work.command(mode, HUB, why, plan=plan, body=body)


def attach(work: FileWork, name: str) -> None:
    """A file belongs to the case; the same again changes nothing. Raises Refused."""
    if name in work.file.attachments:
        return
    if len(work.file.attachments) >= MAX_OF_CASE:
        raise Refused("too-many-attachments")
    work.say("case.attached", {"attachments": [name]})


def start_plan(
    work: FileWork, plan: str, body: str, reported_at: datetime, orders: Sequence[str]
) -> None:
    """The special plan is started: 110 has reported and hands the command over (LL-30). `orders`
    are those of the early disposal. Raises Refused."""
    if work.file.command.mode is Mode.SPECIAL:
        raise Refused("plan-runs", work.file.command.mode.value)
    if not plan.strip():
        raise Refused("plan-missing", work.file.command.mode.value)
    if reported_at > work.now:
        raise Refused("not-yet", work.file.command.mode.value)
    early: list[Json] = [*orders]
    work.command(
        Mode.SPECIAL,
        body,
        "special plan",
        plan=plan,
        body=body,
        reported_at=iso(reported_at),
        orders=early,
    )


def end_plan(work: FileWork, why: str) -> None:
    """The special plan is over, or was started in error: 110 commands again. Raises Refused."""
    if work.file.command.mode is not Mode.SPECIAL:
        raise Refused("no-plan", work.file.command.mode.value)
    if not why.strip():
        raise Refused("reason-missing", work.file.command.mode.value)
    work.command(Mode.DIRECT, HUB, why)


def alarm_of(file: CaseFile) -> tuple[str, str]:
    """Name and words of the alarm about a plan that is due; no words where none is."""
    due = file.command
    words = (
        f"求助件 {file.case} 须启动专项预案“{due.plan}”,由 {due.body} 指挥;启动前由本台先期处置 / "
        f"a special plan is due"
        if due.mode is Mode.EARLY
        else ""
    )
    return f"command.{file.case}", words
