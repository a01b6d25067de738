"""Reads the directory of units (`units.toml`): typed, every fault named with its line and mend."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from bridge.domain.case_file import CommandRule
from bridge.domain.delivery import ChannelKind
from bridge.domain.ladder import Step, To
from bridge.domain.unit import VOICE, Hours, Unit
from bridge.settings.checks import Fault
from bridge.settings.file import MAX_BYTES, read_model, refusal
from bridge.settings.model import Dial, OrderSettings, SettingsError
from bridge.settings.parts import SPAN, Line, Part, Span

_PIN: Final = re.compile(
    r"\$argon2id\$v=19\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
)


def _pin(text: str) -> str:
    if text and _PIN.fullmatch(text) is None:
        raise ValueError(
            "应为 bridge110 unit pin 的输出 / must be what `bridge110 unit pin` printed, never a "
            "PIN itself"
        )
    return text


def _mail(text: str) -> str:
    name, _, domain = text.rpartition("@")
    if not re.fullmatch(r"[A-Za-z0-9._+-]{1,64}", name) or not re.fullmatch(
        r"[A-Za-z0-9.-]{1,190}", domain
    ):
        raise ValueError("不是邮件地址 / is no mail address")
    return text


Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Digits = Annotated[str, Field(pattern=r"^\+?[0-9]{3,20}$")]
Ssi = Annotated[str, Field(pattern=r"^[0-9]{1,15}$")]
Map27 = Annotated[str, Field(pattern=r"^[0-9]{1,3}/[0-9]{1,4}$")]
"""Prefix and ident of a set."""
VoiceWay = Annotated[str, Field(pattern=r"^[0-9]{3,16}(:[A-Z][A-Z0-9]{1,7}:[0-9A-D*#]{1,16})?$")]
"""A radio group of bridge.toml, with the selective call of this unit where it has one."""
Mail = Annotated[str, AfterValidator(_mail)]
Pin = Annotated[str, AfterValidator(_pin)]
Day = Annotated[int, Field(ge=1, le=7)]
LadderName = Literal["URGENT", "GENERAL", "URGENT-off", "GENERAL-off"]
Beyond = Literal["caller_name", "caller_number", "attachments"]


class StepPart(Part):
    channels: Annotated[
        tuple[Literal["terminal", "phone", "radio", "sms", "fax", "mail"], ...],
        Field(strict=False, min_length=1),
    ]
    over_s: int = Field(ge=1, le=86400)
    to: Literal["unit", "leader", "above"] = "unit"


class TerminalPart(Part):
    users: Annotated[tuple[Line, ...], Field(strict=False)] = ()


class RadioPart(Part):
    ssi: Annotated[tuple[Ssi, ...], Field(strict=False)] = ()
    map27: Annotated[tuple[Map27, ...], Field(strict=False)] = ()
    group: str = Field(default="", pattern=r"^[0-9]{0,15}$")
    voice: Annotated[tuple[VoiceWay, ...], Field(strict=False)] = ()


class HoursPart(Part):
    days: Annotated[tuple[Day, ...], Field(strict=False, min_length=1)]
    span: Span


class UnitPart(Part):
    """One unit as it stands in the file; orders sheet, section 4."""

    name: Line
    tier: Literal[1, 2, 3] | None = None
    squads: Annotated[tuple[Line, ...], Field(strict=False)] = ()
    area: Line | None = None
    duty_phone: Annotated[tuple[Dial, ...], Field(strict=False)] = ()
    leader_phone: Annotated[tuple[Dial, ...], Field(strict=False)] = ()
    report_pin: Pin = ""
    terminal: TerminalPart = TerminalPart()
    radio: RadioPart = RadioPart()
    sms: Annotated[tuple[Digits, ...], Field(strict=False)] = ()
    fax: Annotated[tuple[Digits, ...], Field(strict=False)] = ()
    fax_hours: Span | None = None
    mail: Annotated[tuple[Mail, ...], Field(strict=False)] = ()
    ladder: Mapping[LadderName, Annotated[tuple[StepPart, ...], Field(strict=False)]] = {}
    hours: HoursPart | None = None
    deputy: Id | None = None
    may_receive: Annotated[tuple[Beyond, ...], Field(strict=False)] = ()
    arrival_limit_s: int | None = Field(default=None, ge=60, le=86400)
    call_along: str = Field(default="", pattern=r"^([0-9]{3,16})?$")


class UnitsPart(Part):
    units: Mapping[Id, UnitPart]


def load_units(path: Path) -> dict[str, Unit]:
    """The units in a file, by id. Raises SettingsError: one line a fault."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"{path}: 无法读取单位名录,请更正 orders.units_file / the directory of units cannot be "
            f"read ({error.strerror}); correct orders.units_file"
        ) from error
    return parse_units(data, str(path))


def parse_units(data: bytes, name: str) -> dict[str, Unit]:
    """The units in the bytes of a file called `name`. Raises SettingsError."""
    found, lines = read_model(UnitsPart, data, name)
    faults = list(_faults(found.units))
    if faults:
        raise refusal(name, lines, faults)
    return {ident: _unit(ident, part) for ident, part in found.units.items()}


def special_plans(own: OrderSettings, units: Mapping[str, Unit]) -> tuple[CommandRule, ...]:
    """Which matters need a special plan. Raises SettingsError where its body is no unit."""
    for plan in own.special_plans:
        if plan.body not in units:
            raise SettingsError(
                f"orders.special_plans: 名录中没有单位 {plan.body} / there is no unit {plan.body} "
                f"in {own.units_file}"
            )
    return tuple(
        CommandRule(plan.category, frozenset(plan.grades), plan.plan, plan.body)
        for plan in own.special_plans
    )


def check_call_along(
    own: OrderSettings, units: Mapping[str, Unit], numbers: Container[str]
) -> None:
    """Raises SettingsError where a unit's call would go along to a number that nobody has."""
    for unit in units.values():
        if unit.call_along and unit.call_along not in numbers:
            raise SettingsError(
                f"{own.units_file}: units.{unit.id}.call_along: 主配置的 desks 或 units 中没有 "
                f"{unit.call_along} / there is no {unit.call_along} among desks and units of the "
                "settings"
            )


def _unit(ident: str, part: UnitPart) -> Unit:
    return Unit(
        id=ident,
        name=part.name,
        tier=part.tier,
        squads=part.squads,
        area=part.area or "",
        duty_phone=part.duty_phone,
        leader_phone=part.leader_phone,
        report_pin=part.report_pin,
        users=part.terminal.users,
        ssi=part.radio.ssi,
        map27=part.radio.map27,
        radio_group=part.radio.group,
        radio_voice=tuple(VOICE + way for way in part.radio.voice),
        sms=part.sms,
        fax=part.fax,
        fax_hours=part.fax_hours or "",
        mail=part.mail,
        ladders={name: tuple(map(_step, steps)) for name, steps in part.ladder.items()},
        hours=_hours(part.hours) if part.hours else None,
        deputy=part.deputy,
        may_receive=frozenset(part.may_receive),
        arrival_limit_s=part.arrival_limit_s,
        call_along=part.call_along,
    )


def _step(part: StepPart) -> Step:
    return Step(tuple(ChannelKind(one) for one in part.channels), part.over_s, To(part.to))


def _hours(part: HoursPart) -> Hours:
    found = SPAN.fullmatch(part.span)
    assert found is not None
    hour, minute, until_hour, until_minute = map(int, found.groups())
    days = frozenset(day - 1 for day in part.days)
    return Hours(days, time(hour, minute), time(until_hour, until_minute))


def _faults(units: Mapping[str, UnitPart]) -> Iterator[Fault]:
    """What units must be together: addresses belong to one unit, deputies exist."""
    taken: dict[tuple[str, str], str] = {}
    for ident, part in units.items():
        if part.deputy is not None and (part.deputy not in units or part.deputy == ident):
            yield Fault(
                ("units", ident, "deputy"),
                f"没有其他单位 {part.deputy},请更正或补上该单位",
                f"there is no other unit {part.deputy}; correct it or add that unit",
            )
        for key, address in _addresses(part):
            other = taken.setdefault((key, address), ident)
            if other != ident:
                yield Fault(
                    ("units", ident, key),
                    f"{address} 已属于单位 {other}",
                    f"{address} is registered for unit {other}: who signs could not be told",
                )


def _addresses(part: UnitPart) -> Iterator[tuple[str, str]]:
    for key in ("duty_phone", "sms", "fax", "mail"):
        for address in getattr(part, key):
            yield key, address.lower()
    for user in part.terminal.users:
        yield "terminal", user
    for ssi in (*part.radio.ssi, *part.radio.map27):
        yield "radio", ssi
