"""What Asterisk's own files must say, compared with the plans that travel with this version."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Final

from bridge.asterisk.conf import Conf, Section, read_conf
from bridge.asterisk.conf_text import ConfError
from bridge.asterisk.lint import lint
from bridge.asterisk.plan_files import PlanFiles, read_plan
from bridge.cli.check_gateways import gateways
from bridge.cli.check_result import Found, bad, judged, unseen
from bridge.settings.model import OrderSettings, Settings, SettingsError
from bridge.settings.units import check_call_along, load_units, special_plans
from bridge.share import share

HOTLINE: Final = "12345"
SHOWN: Final = 6
"""Names told in words; --json has no more either, the files have."""
ACCEPTS: Final[Mapping[str, str]] = {"press": "leg-accepts", "answer": "leg-answers"}


def shipped_contexts() -> frozenset[str]:
    """The contexts of this version's plans. Raises ConfError: the installation is not whole."""
    config = share("config") / "asterisk"
    plans = share("dialplans")
    files = read_plan([config], roots=[plans.parent, config], examples=True)
    return frozenset(files.routes.plan.contexts)


def files(settings: Settings) -> Iterator[Found]:
    """Dialplan, modules and telephones as the files in `asterisk.etc` have them."""
    etc = settings.asterisk.etc
    try:
        plan = read_plan([etc / "extensions.conf"], roots=[etc])
    except ConfError as error:
        yield bad("dialplan files", str(error), "见 dialplans/README.md / see dialplans/README.md")
    else:
        yield _contexts(plan)
        yield _lint(plan)
        yield from _hotline(plan, settings)
    yield _modules(etc)
    yield from _telephones(etc, settings)
    if settings.orders is not None:
        yield _units(settings.orders, settings.targets())
        if settings.ports is not None:
            yield gateways(settings, settings.orders)


def _units(orders: OrderSettings, targets: Container[str]) -> Found:
    """The directory of units, and whether each has a wire at all (LL-09)."""
    try:
        units = load_units(orders.units_file)
        special_plans(orders, units)
        check_call_along(orders, units, targets)
    except SettingsError as error:
        return bad("units", str(error), "见 config/units.toml / see config/units.toml")
    bare = sorted(unit.id for unit in units.values() if not unit.channels())
    return judged(
        "units",
        f"没有通道的单位 / units without a wire: {_some(bare)}" if bare else None,
        f"{len(units)} 个单位 / units",
        "在名录中为其登记通道 / register a wire for them",
    )


def _contexts(plan: PlanFiles) -> Found:
    missing = sorted(shipped_contexts() - set(plan.routes.plan.contexts))
    return judged(
        "dialplan files",
        f"缺少上下文 / contexts are missing: {_some(missing)}" if missing else None,
        f"{len(plan.routes.plan.contexts)} 个上下文 / contexts",
        "在 extensions.conf 中 #include dialplans/*.conf / include our dialplans there",
    )


def _lint(plan: PlanFiles) -> Found:
    errors = [finding for finding in lint(plan.routes) if finding.rule.severity == "error"]
    return judged(
        "dialplan rules",
        f"{len(errors)} 处违反规则 / broken rules: {errors[0]}" if errors else None,
        "无违反 / none broken",
        "bridge110 dialplan lint",
    )


def _hotline(plan: PlanFiles, settings: Settings) -> Iterator[Found]:
    """The seat's key and the daemon must call the same telephone in the same way."""
    desk, values = settings.desks[HOTLINE], plan.routes.plan.globals
    wanted = {"HOTLINE_DIAL": desk.dial, "HOTLINE_ACCEPT": ACCEPTS[desk.accept]}
    if desk.fallback is not None:
        wanted["HOTLINE_DIAL_2"] = desk.fallback
    for name, value in wanted.items():
        found = values.get(name, "")
        yield judged(
            name,
            None if found == value else f"{found!r}, bridge.toml: {value!r}",
            value,
            f"site/globals.conf: {name} = {value} (须与 desks.12345 一致 / as in desks.12345)",
        )


def _modules(etc: Path) -> Found:
    try:
        ours = _loaded(read_conf(share("config") / "asterisk" / "modules.conf"))
        theirs = read_conf(etc / "modules.conf")
    except ConfError as error:
        return bad("modules", str(error), "使用本系统的 modules.conf / take the one we ship")
    modules = theirs.section("modules")
    auto = modules is not None and modules.get("autoload", "no") == "yes"
    refused = {i.value for i in modules.items if i.name == "noload"} if modules else set()
    missing = sorted((ours & refused) if auto else (ours - _loaded(theirs)) | (ours & refused))
    return judged(
        "modules",
        f"未加载 / not loaded: {_some(missing)}" if missing else None,
        f"{len(ours)} 个 / modules",
        f"{etc}/modules.conf: load = {missing[0] if missing else ''}",
    )


def _loaded(conf: Conf) -> frozenset[str]:
    section = conf.section("modules")
    items = section.items if section else ()
    return frozenset(i.value for i in items if i.name in ("load", "require", "preload"))


def _telephones(etc: Path, settings: Settings) -> Iterator[Found]:
    try:
        conf = read_conf(etc / "pjsip.conf", roots=[etc])
    except ConfError as error:
        yield bad("telephones", str(error), "见 config/asterisk/README.md / see there")
        return
    endpoints = {s.name: s for s in conf.sections if not s.template and s.get("type") == "endpoint"}
    yield _group("seats", {seat: seat for seat in settings.seats.all}, endpoints)
    parties = {**settings.desks, **settings.units}
    ways = {
        ident: desk.dial.removeprefix("PJSIP/").rpartition("@")[2]
        for ident, desk in parties.items()
    }
    ways |= {
        f"{ident} fallback": desk.fallback.removeprefix("PJSIP/").rpartition("@")[2]
        for ident, desk in parties.items()
        if desk.fallback is not None
    }
    yield _group("desks and units", ways, endpoints)
    if "trunk" not in endpoints:
        yield unseen("citizens", "没有名为 trunk 的端点 / no endpoint is called trunk")
    else:
        yield _group("citizens", {"trunk": "trunk"}, endpoints)


def _group(name: str, wanted: Mapping[str, str], endpoints: Mapping[str, Section]) -> Found:
    """Each telephone of a group has an endpoint that is set as the sheets ask."""
    wrong = []
    for ident, endpoint in wanted.items():
        section = endpoints.get(endpoint)
        trouble = ["没有端点 / no endpoint"] if section is None else endpoint_faults(section)
        wrong += [f"{ident} ({endpoint}): {one}" for one in trouble]
    return judged(
        name,
        _some(wrong) if wrong else None,
        f"{len(wanted)} 个端点 / endpoints",
        "pjsip.conf: 使用 seat-sip、peer、citizens 模板 / use the templates of our pjsip.conf",
    )


def endpoint_faults(endpoint: Section) -> list[str]:
    """What would let a dead telephone stand, move the citizen, or distort the sound."""
    faults = []
    limit = endpoint.get("rtp_timeout", "0")
    if not (limit.isdecimal() and int(limit) > 0):
        faults.append(f"rtp_timeout = {limit} (> 0)")
    if endpoint.get("allow_transfer", "yes") != "no":
        faults.append("allow_transfer = no")
    codecs = endpoint.get("allow").replace(" ", "").split(",")
    if codecs[0] != "alaw":
        faults.append(f"allow = {endpoint.get('allow') or '-'} (alaw 在先 / first)")
    if endpoint.get("direct_media", "yes") != "no":
        faults.append("direct_media = no")
    return faults


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" … (+{rest})" if rest > 0 else "")
