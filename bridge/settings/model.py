"""What a site decides: typed settings, read from one TOML file. No default hides a site's choice.

The models say what a key may be; `settings_checks` what keys must be together and on the disk;
`settings_file` reads the file and names the line of everything that is wrong. Secrets are never
in the file: it names other files, in the field systemd's credentials.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from bridge.domain.acts import Target
from bridge.domain.call import Role
from bridge.domain.territory import Territory
from bridge.settings.parts import (
    CREDENTIALS_VARIABLE,
    Host,
    Line,
    Number,
    Part,
    Port,
    SecretFile,
    SettingsError,
    Short,
    read_secret,
    secret_path,
)
from bridge.settings.wires import Documents, Fax, Mail, Platforms, PortsSettings

__all__ = [
    "CREDENTIALS_VARIABLE",
    "DEFAULT_CONFIG",
    "Settings",
    "SettingsError",
    "expand",
]

DEFAULT_CONFIG: Final = Path("/etc/bridge110/bridge.toml")
MAX_SEATS: Final = 1000
RADIO_RING_S: Final = 8
"""A gateway's line answers by itself, at once."""

DIAL_FORM: Final = re.compile(r"PJSIP/[0-9]{3,16}@[A-Za-z0-9_-]+|PJSIP/[A-Za-z0-9_-]+")
"""All that may ever reach Dial or Originate from a file (guard.md S3): one channel, no list."""
_SEATS_FORM: Final = re.compile(r"([0-9]{3,16})(?:-([0-9]{3,16}))?")


def _dial(text: str) -> str:
    if DIAL_FORM.fullmatch(text) is None:
        raise ValueError(
            "应为 PJSIP/号码@端点 或 PJSIP/端点 / must be PJSIP/<number>@<endpoint> or "
            "PJSIP/<endpoint>, one channel only"
        )
    return text


def _seats(text: str) -> str:
    found = _SEATS_FORM.fullmatch(text)
    if found is None or (found[2] and not _is_range(found[1], found[2])):
        raise ValueError(
            '应为 "8001" 或 "8001-8030"(位数相同,不超过 1000 个) / must be "8001" or '
            '"8001-8030", both ends equally long, at most 1000'
        )
    return text


def _is_range(first: str, last: str) -> bool:
    return len(first) == len(last) and 0 <= int(last) - int(first) < MAX_SEATS


SeatRange = Annotated[str, AfterValidator(_seats)]
Dial = Annotated[str, AfterValidator(_dial)]
SeatRole = Literal["110", "joint-action"]
"""Intake of 110 calls; dispatch of joint action (SB-08: a seat can hold both)."""


class Site(Part):
    name: Short
    zone: str
    numbers: tuple[Number, ...] = Field(min_length=1, strict=False)
    """Our own numbers, which no desk may dial."""

    @property
    def tz(self) -> ZoneInfo:
        """The local zone: days of case numbers, times on screens."""
        return ZoneInfo(self.zone)


class Ami(Part):
    host: Host
    port: Port
    username: Line
    secret_file: SecretFile
    tls: bool
    ca_file: Path | None = Field(default=None, strict=False)
    server_hostname: Host | None = None

    def secret_path(self, environment: Mapping[str, str] = os.environ) -> Path:
        """The file of the secret. Raises SettingsError where no credentials were given."""
        return secret_path("ami.secret_file", self.secret_file, environment)

    def secret(self, environment: Mapping[str, str] = os.environ) -> str:
        """The secret. Raises SettingsError naming the file and mend."""
        return read_secret("ami.secret_file", self.secret_file, environment)


class Listener(Part):
    host: Host
    port: Port


class Http(Listener):
    origins: tuple[str, ...] = Field(strict=False)
    """Exactly what browsers send as Origin (guard.md S9)."""
    hosts: tuple[Host, ...] = Field(min_length=1, strict=False)
    """Names accepted in the Host header."""
    tokens_file: Path = Field(strict=False)
    public_url: str = Field(default="", pattern=r"^(https?://[A-Za-z0-9.:_-]+)?$")
    """How other desks reach this one; empty: files of shared cases do not go along."""


class StoreSettings(Part):
    path: Path = Field(strict=False)
    ballast_mb: int = Field(ge=0, le=4096)


class AsteriskFiles(Part):
    etc: Path = Field(strict=False)
    recordings: Path = Field(strict=False)
    cel_file: Path = Field(strict=False)
    sounds: Path = Field(strict=False)


class Seats(Part):
    ids: tuple[SeatRange, ...] = Field(min_length=1, strict=False)
    leaders: tuple[SeatRange, ...] = Field(default=(), strict=False)
    wrap_up_s: int = Field(ge=0, le=600)
    groups: Mapping[Short, Annotated[tuple[SeatRange, ...], Field(strict=False)]] = {}
    roles: Mapping[Number, Annotated[tuple[SeatRole, ...], Field(strict=False, min_length=1)]] = {}

    @property
    def all(self) -> tuple[str, ...]:
        """Every seat, the leaders' among them, in the order of the file."""
        return (*expand(self.ids), *expand(self.leaders))

    def roles_of(self, seat: str) -> tuple[SeatRole, ...]:
        """What the seat may do; 110 alone where nothing is said."""
        return self.roles.get(seat, ("110",))

    def groups_of(self, seat: str) -> tuple[str, ...]:
        """Names of the groups that the seat belongs to."""
        return tuple(name for name, ids in self.groups.items() if seat in expand(ids))


class Desk(Part):
    """Somebody who can be called into a case. `areas`: whose desk it is (LY-12)."""

    title: Line
    dial: Dial
    fallback: Dial | None = None
    accept: Literal["press", "answer"]
    ring_timeout_s: int = Field(ge=5, le=120)
    areas: Annotated[tuple[Line, ...], Field(strict=False)] = ()


class SpecialPlan(Part):
    """Matters that need a special plan, and the unit that commands then (LL-28, LL-30)."""

    category: str = Field(pattern=r"^[A-Z]{3}(\.[0-9]{2})?$")
    grades: Annotated[tuple[Annotated[int, Field(ge=1, le=4)], ...], Field(strict=False)] = ()
    plan: Line
    body: Short


class RadioGroup(Part):
    """A radio group that a seat can bring into a call, and that orders are spoken to.

    `gateway` is its name in the file of gateways, whose key is pressed; `dial` the gateway's own
    SIP line, which carries the sound; `group` the talk group of a TETRA gateway. `hang_s`: how long
    the key is held after the last word.
    """

    title: Line
    dial: Dial
    gateway: Line
    group: str = Field(default="", pattern=r"^[0-9]{0,15}$")
    hang_s: float = Field(ge=0.2, le=3.0)


class OrderSettings(Part):
    """Orders to units. `units_file` has the directory of units (bridge/units_file.py)."""

    units_file: Path = Field(strict=False)
    centre: Line
    centre_number: Number
    spoken: Path = Field(strict=False)
    """Where spoken orders are kept; Asterisk must be able to read there."""
    phone_lines: int = Field(ge=1, le=200)
    check_hours: int = Field(ge=1, le=168)
    link_base: str | None = Field(default=None, pattern=r"^https?://[A-Za-z0-9.:_-]+$")
    copy_to: Short | None = None
    special_plans: Annotated[tuple[SpecialPlan, ...], Field(strict=False)] = ()
    green_trunk: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,32}$")


class Settings(Part):
    """Everything that a site decides."""

    site: Site
    ami: Ami
    fastagi: Listener
    http: Http
    store: StoreSettings
    asterisk: AsteriskFiles
    seats: Seats
    desks: Mapping[Number, Desk]
    units: Mapping[Number, Desk] = {}
    documents: Documents = Documents()
    mail: Mail | None = None
    fax: Fax | None = None
    platforms: Platforms = Field(default={})
    radio_groups: Mapping[Number, RadioGroup] = {}
    ports: PortsSettings | None = None
    """May be left out: a site without radio gateways and modems."""
    orders: OrderSettings | None = None
    """May be left out: a desk that gives no orders."""

    @property
    def territory(self) -> Territory:
        """Which desk is whose."""
        return Territory({ident: desk.areas for ident, desk in self.desks.items()})

    def targets(self) -> dict[str, Target]:
        """Everybody who can be called into a case, by the number that stands for them."""
        found = {
            ident: _target(ident, desk, Role.HOTLINE, _desk_leg(ident))
            for ident, desk in self.desks.items()
        }
        for ident, unit in self.units.items():
            found[ident] = _target(ident, unit, Role.UNIT, f"unit-{ident}")
        for ident, group in self.radio_groups.items():
            found[ident] = Target(
                ident, group.title, group.dial, Role.RADIO, f"radio-{ident}", "answer", RADIO_RING_S
            )
        return found


def expand(ranges: Sequence[str]) -> tuple[str, ...]:
    """`["8001-8003", "8010"]` as the seats themselves, in this order."""
    seats: list[str] = []
    for text in ranges:
        first, _, last = text.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        seats += [str(number).zfill(len(first)) for number in numbers]
    return tuple(seats)


def _desk_leg(ident: str) -> str:
    """The label of a desk's leg in names of tracks; the dialplan itself calls 12345's `hotline`."""
    return "hotline" if ident == "12345" else f"hotline-{ident}"


def _target(ident: str, desk: Desk, role: Role, name: str) -> Target:
    return Target(
        id=ident,
        title=desk.title,
        dial=desk.dial,
        role=role,
        name=name,
        accept=desk.accept,
        ring_timeout=desk.ring_timeout_s,
        fallback=desk.fallback,
    )
