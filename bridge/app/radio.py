"""Radio groups put together for one daemon: who talks comes from the switch, keys go to the port
process."""

from __future__ import annotations

from bridge.app.calls import CallService
from bridge.app.orders import OrderService
from bridge.asterisk.radio_lines import RadioLines
from bridge.flows.calls import Spawn
from bridge.flows.ports import Clock
from bridge.flows.radio_voice import Group, RadioVoice
from bridge.flows.view import View
from bridge.settings.model import Settings


def open_radio(
    settings: Settings,
    orders: OrderService | None,
    calls: CallService,
    view: View,
    clock: Clock,
    spawn: Spawn,
) -> RadioVoice | None:
    """None where the site has no radio groups, or no port process to press their keys."""
    if not settings.radio_groups or orders is None or orders.ports is None:
        return None
    groups = {
        ident: Group(ident, own.gateway, own.group, own.hang_s)
        for ident, own in settings.radio_groups.items()
    }
    voice = RadioVoice(
        calls.room.book,
        groups,
        RadioLines(calls.link),
        orders.ports,
        tell=lambda kind, call, data: view.ephemeral(kind, data, call=call),
        clock=clock,
        spawn=spawn,
    )
    orders.on_gateway = voice.passing
    calls.service.on_talking = voice.talking
    return voice
