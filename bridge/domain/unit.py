"""A unit that can be ordered (联动单位): its people, its wires, and what may cross to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time

from bridge.domain.delivery import ChannelKind
from bridge.domain.ladder import Step, To, ladder_of

TIER_1_ARRIVAL_S = 1800

VOICE = "voice:"
"""Begins the address of a radio group that is spoken to."""


@dataclass(frozen=True, slots=True)
class Hours:
    """When the unit's ordinary ladder holds, in local time: days 0 (Monday) to 6, from-until.

    Outside them its ladders "off hours" hold where it has some. Orders go at any hour (YJ-43).
    """

    days: frozenset[int]
    opens: time
    closes: time

    def holds(self, local: datetime) -> bool:
        """Whether that local moment lies in these hours; a span may go over midnight."""
        now = local.time().replace(tzinfo=None)
        if self.opens <= self.closes:
            inside = self.opens <= now < self.closes
        else:
            inside = now >= self.opens or now < self.closes
        return inside and local.weekday() in self.days


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One unit as the directory has it (orders sheet, section 4).

    `duty_phone` and `leader_phone` are dial strings of one channel (`PJSIP/6001@trunk`);
    `users` are the names of sign-ins at its terminal; `deputy` is the unit above, the next contact.
    `may_receive` names fields beyond the allow-list: `caller_name`, `caller_number` (the number
    also on radio, SMS and mail), `attachments` (by terminal and mail). `report_pin` is an Argon2
    hash. `fax_hours` (`08:00-18:00`) hold for faxes that are neither urgent nor green.
    `arrival_limit_s` counts for site orders; tier 1 has 30 minutes where nothing is said (SB-22).
    """

    id: str
    name: str
    tier: int | None = None
    squads: tuple[str, ...] = ()
    area: str = ""
    duty_phone: tuple[str, ...] = ()
    leader_phone: tuple[str, ...] = ()
    report_pin: str = ""
    users: tuple[str, ...] = ()
    ssi: tuple[str, ...] = ()
    map27: tuple[str, ...] = ()
    radio_group: str = ""
    radio_voice: tuple[str, ...] = ()
    """Where it is spoken to: `voice:` radio group, `:` system `:` digits of a selective call."""
    sms: tuple[str, ...] = ()
    fax: tuple[str, ...] = ()
    fax_hours: str = ""
    mail: tuple[str, ...] = ()
    ladders: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    hours: Hours | None = None
    deputy: str | None = None
    may_receive: frozenset[str] = frozenset()
    arrival_limit_s: int | None = None
    call_along: str = ""
    """Whom the seat's call goes to with a one-click order; empty: data only (LU-15)."""

    def addresses(self, channel: ChannelKind, to: To = To.UNIT) -> tuple[str, ...]:
        """Where the unit is reached on a channel; empty where it is not."""
        if to is To.LEADER:
            return self.leader_phone if channel is ChannelKind.PHONE else ()
        match channel:
            case ChannelKind.TERMINAL:
                return self.users
            case ChannelKind.PHONE:
                return self.duty_phone
            case ChannelKind.RADIO:
                return (*self.ssi, *self.map27, *self.radio_voice)
            case ChannelKind.SMS:
                return self.sms
            case ChannelKind.FAX:
                return self.fax
            case ChannelKind.MAIL:
                return self.mail

    def channels(self) -> tuple[ChannelKind, ...]:
        """Wires that the unit has."""
        return tuple(channel for channel in ChannelKind if self.addresses(channel))

    def ladder(self, klass: str, local: datetime) -> tuple[Step, ...]:
        """The steps for an order of that class, dispatched at that local moment."""
        off = self.hours is not None and not self.hours.holds(local)
        names = (f"{klass}-off", klass) if off else (klass,)
        own = next((self.ladders[name] for name in names if name in self.ladders), None)
        return own if own is not None else ladder_of(klass)

    def arrival_limit(self, kind: str) -> int | None:
        """Seconds from receipt to arrival, or None where no arrival clock runs (SB-26)."""
        if kind != "site" or self.tier == 3:
            return None
        return self.arrival_limit_s or (TIER_1_ARRIVAL_S if self.tier == 1 else None)

    def registered(self, channel: ChannelKind, source: str) -> bool:
        """Whether `source` is one of the unit's own addresses on that channel."""
        if channel is ChannelKind.MAIL:
            return source.strip().lower() in {one.lower() for one in self.mail}
        if channel is ChannelKind.PHONE:
            known = {number_of(dial) for dial in (*self.duty_phone, *self.leader_phone)}
            return number_of(source) in known
        if channel in (ChannelKind.SMS, ChannelKind.FAX):
            return number_of(source) in {number_of(one) for one in self.addresses(channel)}
        return source in self.addresses(channel)


def number_of(dial: str) -> str:
    """The number in a dial string or an address: `6001` of `PJSIP/6001@trunk`."""
    name = dial.removeprefix("PJSIP/").partition("@")[0]
    return re.sub(r"[^0-9+]", "", name)
