"""The file of gateways beside the directory of units, and what the settings want of it."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.channels.radio_spoken import selcall_tones
from bridge.cli.check_result import Found, bad, judged
from bridge.domain.unit import VOICE
from bridge.settings.model import OrderSettings, Settings, SettingsError
from bridge.settings.units import load_units
from hardware.gateways import Gateway, GatewayError, read_gateways

MEND = "见 config/gateways.toml / see config/gateways.toml"


def gateways(settings: Settings, orders: OrderSettings) -> Found:
    """Whether the port process could read its file, and radio groups and units fit it."""
    path = orders.units_file.parent / "gateways.toml"
    try:
        found = {gateway.name: gateway for gateway in read_gateways(path)}
    except GatewayError as error:
        return bad("gateways", str(error), MEND)
    wrong = [*_groups(settings, found), *_ways(settings, orders)]
    return judged("gateways", "; ".join(wrong) or None, f"{len(found)} 个网关 / gateways", MEND)


def _groups(settings: Settings, found: dict[str, Gateway]) -> Iterator[str]:
    for ident, group in settings.radio_groups.items():
        gateway = found.get(group.gateway)
        if gateway is None:
            yield f"radio_groups.{ident}: 没有网关 / no gateway {group.gateway!r}"
        elif gateway.driver not in ("line-keyed", "tetra-pei"):
            yield f"radio_groups.{ident}: {gateway.driver} 不能键控话音 / cannot be keyed for voice"
        elif (gateway.driver == "tetra-pei") is not bool(group.group):
            yield f"radio_groups.{ident}: group 只用于且必填于 TETRA / belongs to TETRA alone"


def _ways(settings: Settings, orders: OrderSettings) -> Iterator[str]:
    try:
        units = load_units(orders.units_file)
    except SettingsError:
        return  # told by its own check
    for unit in units.values():
        for way in unit.radio_voice:
            group, system, digits = (*way.removeprefix(VOICE).split(":", 2), "", "")[:3]
            if group not in settings.radio_groups:
                yield f"units.{unit.id}: 没有电台组 / no radio group {group}"
            try:
                selcall_tones(system, digits)
            except ValueError as error:
                yield f"units.{unit.id}: {error}"
