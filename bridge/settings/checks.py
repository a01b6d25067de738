"""What keys must be together, and on the disk: faults that one key alone cannot show."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bridge.settings.model import Desk, Settings, expand
from bridge.settings.toml_lines import KeyPath

HOTLINE: Final = "12345"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: where (a key), what, and how to mend it; both in two languages."""

    path: KeyPath
    zh: str
    en: str


def faults(settings: Settings) -> Iterator[Fault]:
    """Contradictions within the settings. Pure but for the list of time zones."""
    yield from _zone(settings)
    yield from _addresses(settings)
    yield from _origins(settings)
    yield from _network(settings)
    yield from _seats(settings)
    if HOTLINE not in settings.desks:
        yield Fault(
            ("desks",),
            "缺少 12345,请加上 [desks.12345]",
            "desk 12345 is missing; add [desks.12345] with title, dial, accept, ring_timeout_s",
        )
    yield from _areas(settings)
    yield from _without_orders(settings)
    yield from _wires(settings)
    for group, parties in (("desks", settings.desks), ("units", settings.units)):
        yield from _parties(settings, group, parties)
    yield from _radio_groups(settings)


def missing_paths(settings: Settings) -> Iterator[Fault]:
    """Directories and files that must be there before the daemon starts."""
    asterisk = settings.asterisk
    directories: dict[tuple[str, ...], Path] = {
        ("store", "path"): settings.store.path.parent,
        ("http", "tokens_file"): settings.http.tokens_file.parent,
        ("asterisk", "etc"): asterisk.etc,
        ("asterisk", "recordings"): asterisk.recordings,
        ("asterisk", "cel_file"): asterisk.cel_file.parent,
        ("asterisk", "sounds"): asterisk.sounds,
    }
    if settings.orders is not None:
        directories["orders", "units_file"] = settings.orders.units_file.parent
        directories["orders", "spoken"] = settings.orders.spoken.parent
    if settings.fax is not None and settings.fax.trunk is not None:
        directories["fax", "trunk", "spool"] = settings.fax.trunk.spool
    for path, place in directories.items():
        if not place.is_absolute():
            yield Fault(path, f"{place} 不是绝对路径", f"{place} is no absolute path; begin with /")
        elif not _is_directory(place):
            yield Fault(
                path,
                f"目录 {place} 不存在,请建立或更正",
                f"there is no directory {place}; make it or correct the key",
            )
    ca_file = settings.ami.ca_file
    if ca_file is not None and not ca_file.is_file():
        yield Fault(
            ("ami", "ca_file"),
            f"文件 {ca_file} 不存在",
            f"there is no file {ca_file}; put the CA's PEM file there",
        )


def _is_directory(place: Path) -> bool:
    try:
        return place.is_dir()
    except OSError:
        return False


def _areas(settings: Settings) -> Iterator[Fault]:
    """An area is one desk's, and the general hotline serves every other."""
    taken: dict[str, str] = {}
    for ident, desk in settings.desks.items():
        if ident == HOTLINE and desk.areas:
            yield Fault(
                ("desks", ident, "areas"),
                "12345 为通用热线,不能只属于某些区域,请另设县区台",
                "12345 serves every area; make a desk of its own for a county",
            )
        for area in desk.areas:
            other = taken.setdefault(area, ident)
            if other != ident:
                yield Fault(
                    ("desks", ident, "areas"),
                    f"区域 {area} 已属于台 {other}",
                    f"area {area} is desk {other}'s already",
                )


def _zone(settings: Settings) -> Iterator[Fault]:
    try:
        ZoneInfo(settings.site.zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        yield Fault(
            ("site", "zone"),
            f"未知时区 {settings.site.zone!r},例如 Asia/Shanghai",
            "no such time zone; write one like Asia/Shanghai (or install tzdata)",
        )


def _addresses(settings: Settings) -> Iterator[Fault]:
    taken: dict[tuple[str, int], str] = {}
    for name in ("ami", "fastagi", "http"):
        part = getattr(settings, name)
        other = taken.setdefault((_same(part.host), part.port), name)
        if other != name:
            yield Fault(
                (name, "port"),
                f"端口 {part.port} 与 {other}.port 相同,请改用别的端口",
                f"port {part.port} is that of {other}.port too; choose another",
            )
    if not settings.ami.tls and not is_loopback(settings.ami.host):
        yield Fault(
            ("ami", "tls"),
            f"{settings.ami.host} 是另一台机器,口令会明文传输,请设 tls = true",
            "the secret would cross the network in clear; set tls = true (port 5039), "
            "or host = 127.0.0.1",
        )
    if not is_loopback(settings.fastagi.host):
        yield Fault(
            ("fastagi", "host"),
            "FastAGI 没有口令,只能监听本机,请写 127.0.0.1",
            "FastAGI knows no credentials and must listen on this machine alone; write 127.0.0.1",
        )


def _origins(settings: Settings) -> Iterator[Fault]:
    for index, origin in enumerate(settings.http.origins):
        scheme, _, rest = origin.partition("://")
        if scheme not in ("http", "https") or not rest or "/" in rest or "*" in rest:
            yield Fault(
                ("http", "origins", index),
                f"{origin!r} 不是来源,例如 https://desk.example",
                "an origin is https://name or https://name:port, without path, without *",
            )


def _network(settings: Settings) -> Iterator[Fault]:
    """Orders go to terminals on the private network alone (SB-33)."""
    if settings.orders is None or _is_private(settings.http.host):
        return
    yield Fault(
        ("http", "host"),
        f"{settings.http.host} 不是专网地址;网络派单只能监听具体的专网地址",
        f"{settings.http.host} is not one private address: with orders the desk listens on an "
        "address of the private network, or behind a proxy on 127.0.0.1",
    )


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_private and not address.is_unspecified


def _same(host: str) -> str:
    """Hosts that mean this machine are one."""
    return "loopback" if is_loopback(host) or host in ("0.0.0.0", "::") else host  # noqa: S104


def is_loopback(host: str) -> bool:
    """Whether `host` can only mean this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _seats(settings: Settings) -> Iterator[Fault]:
    seen: set[str] = set()
    for key in ("ids", "leaders"):
        for index, text in enumerate(getattr(settings.seats, key)):
            twice = sorted(seen.intersection(expand([text])))
            if twice:
                yield Fault(
                    ("seats", key, index),
                    f"坐席 {twice[0]} 重复,请删去一处",
                    f"seat {twice[0]} is named twice; remove one",
                )
            seen.update(expand([text]))
    for number in settings.site.numbers:
        if number in seen:
            yield Fault(
                ("seats", "ids"),
                f"{number} 是本台号码,不能作坐席",
                f"{number} is our own number (site.numbers); it cannot be a seat",
            )
    named: dict[KeyPath, tuple[str, ...]] = {
        ("seats", "groups", name): expand(ids) for name, ids in settings.seats.groups.items()
    }
    named |= {("seats", "roles", seat): (seat,) for seat in settings.seats.roles}
    for path, seats in named.items():
        for seat in seats:
            if seat not in seen:
                yield Fault(
                    path,
                    f"没有坐席 {seat},请加入 seats.ids 或更正",
                    f"there is no seat {seat}; add it to seats.ids or correct it",
                )


def _without_orders(settings: Settings) -> Iterator[Fault]:
    """Wires of orders where there are none would be left out without a word."""
    if settings.orders is not None:
        return
    for name in ("mail", "fax", "documents", "ports"):
        if name in settings.model_fields_set:
            yield Fault(
                (name,),
                "本节只用于指令,请加上 [orders] 或删去本节",
                f"serves orders alone; add [orders] or remove [{name}]",
            )


def _wires(settings: Settings) -> Iterator[Fault]:
    """Mail and platforms: no password in clear, no link to a desk that is not there."""
    mail = settings.mail
    if mail is not None:
        if (mail.username is None) is not (mail.secret_file is None):
            yield Fault(
                ("mail",),
                "username 与 secret_file 须同时填写或同时省略",
                "username and secret_file belong together; give both or neither",
            )
        accounts: list[tuple[KeyPath, str, str]] = []
        if mail.username is not None:
            accounts.append((("mail",), mail.host, mail.encryption))
        if mail.replies is not None:
            replies = mail.replies
            accounts.append((("mail", "replies"), replies.host, replies.encryption))
        for path, host, encryption in accounts:
            if encryption == "none" and not is_loopback(host):
                yield Fault(
                    (*path, "encryption"),
                    f"口令会明文传到 {host},请用 tls 或 starttls",
                    "the password would cross the network in clear; set tls or starttls",
                )
    for ident, platform in settings.platforms.items():
        if ident not in settings.desks:
            yield Fault(
                ("platforms", ident),
                f"没有 [desks.{ident}],请加上或更正",
                f"there is no [desks.{ident}]; a platform belongs to a desk that can be called",
            )
        for index, alias in enumerate(platform.aliases):
            taken = alias.number in settings.desks or alias.number in settings.seats.all
            if taken or alias.number in settings.site.numbers:
                yield Fault(
                    ("platforms", ident, "aliases", index, "number"),
                    f"号码 {alias.number} 已另有用途",
                    f"number {alias.number} is a desk's, a seat's or our own; remove it",
                )


def _parties(settings: Settings, group: str, parties: Mapping[str, Desk]) -> Iterator[Fault]:
    own = set(settings.site.numbers)
    seats = set(settings.seats.all)
    for ident, desk in parties.items():
        if ident in own or ident in seats or (group == "units" and ident in settings.desks):
            yield Fault(
                (group, ident),
                f"号码 {ident} 已被本台、坐席或其他台使用",
                f"number {ident} is one of ours, a seat's or a desk's; choose another",
            )
        for key in ("dial", "fallback"):
            way: str | None = getattr(desk, key)
            if way is not None:
                yield from _dials_itself((group, ident, key), way, own, seats)
        if desk.fallback == desk.dial:
            yield Fault(
                (group, ident, "fallback"),
                "与 dial 相同,请删去或写另一条路由",
                "is the same way as dial; leave it out or name another trunk",
            )


def _radio_groups(settings: Settings) -> Iterator[Fault]:
    """Their numbers are nobody else's, their gateways are driven by the port process."""
    taken = {*settings.site.numbers, *settings.seats.all, *settings.desks, *settings.units}
    lines: dict[str, str] = {}
    for ident, group in settings.radio_groups.items():
        if ident in taken:
            yield Fault(
                ("radio_groups", ident),
                f"号码 {ident} 已被本台、坐席、其他台或单位使用",
                f"number {ident} is one of ours, a seat's, a desk's or a unit's; choose another",
            )
        own, seats = set(settings.site.numbers), set(settings.seats.all)
        yield from _dials_itself(("radio_groups", ident, "dial"), group.dial, own, seats)
        if lines.setdefault(group.dial, group.gateway) != group.gateway:
            yield Fault(
                ("radio_groups", ident, "dial"),
                f"{group.dial} 已属于网关 {lines[group.dial]},一条线路只接一个网关",
                f"{group.dial} is the line of gateway {lines[group.dial]}; one line, one gateway",
            )
    if settings.radio_groups and settings.ports is None:
        yield Fault(
            ("radio_groups",),
            "电台组需要端口进程,请加上 [ports] 与 [orders]",
            "the port process presses the key of a radio; add [ports] and [orders]",
        )


def _dials_itself(path: KeyPath, way: str, own: set[str], seats: set[str]) -> Iterator[Fault]:
    """A call that comes back to this desk would ring for ever between its own legs."""
    number, _, endpoint = way.removeprefix("PJSIP/").partition("@")
    endpoint = endpoint or number
    for called in {number, endpoint} & own:
        yield Fault(
            path,
            f"{way} 呼叫的是本台号码 {called},请写对方的号码",
            f"{way} dials our own number {called} and comes back to us; "
            "write the other side's number",
        )
    for called in {number, endpoint} & seats:
        yield Fault(
            path,
            f"{way} 呼叫的是本台坐席 {called},请写对方的号码",
            f"{way} dials our own seat {called}; write the other side's number",
        )
