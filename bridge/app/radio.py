"""Radio groups put together for one daemon: who talks comes from the switch, keys go to the port
process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bridge.app.calls import CallService
from bridge.app.orders import Around, OrderService
from bridge.asterisk.manager import AmiLink
from bridge.asterisk.radio_calls import RadioCalls
from bridge.asterisk.radio_lines import RadioLines
from bridge.asterisk.service import SwitchService
from bridge.channels.radio import GatewayChannel
from bridge.channels.radio_spoken import Line, RadioWays, SpokenOrders
from bridge.channels.spoken import Speech
from bridge.domain.delivery import ChannelKind
from bridge.flows.calls import Spawn
from bridge.flows.ports import Clock
from bridge.flows.radio_voice import Group, RadioVoice
from bridge.flows.view import View
from bridge.settings.model import Settings

T = TypeVar("T")


def open_spoken(
    around: Around, service: OrderService, switch: SwitchService, link: AmiLink
) -> None:
    """Orders spoken into the channels of the site's radio groups, beside those by text."""
    settings, ports = around.settings, service.ports
    if settings.orders is None or ports is None or not settings.radio_groups:
        return
    calls = RadioCalls(link, around.clock.now)
    spoken = SpokenOrders(
        calls,
        ports,
        service.post,
        Speech(settings.orders.spoken),
        {
            ident: Line(own.dial, own.gateway, own.group)
            for ident, own in settings.radio_groups.items()
        },
        now=around.clock.now,
        spawn=around.spawn,
    )
    calls.see = _both(service.voices.see_radio, spoken.see)
    service.use(
        RadioWays(GatewayChannel(ChannelKind.RADIO, ports, service.post, around.clock), spoken)
    )
    service.on_gateway.append(spoken.passing)
    switch.on_event = _both(switch.on_event, calls.event)
    switch.on_row = _both(switch.on_row, calls.row)


def _both(one: Callable[[T], None], other: Callable[[T], None]) -> Callable[[T], None]:
    def tell(what: T) -> None:
        one(what)
        other(what)

    return tell


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
    orders.on_gateway.append(voice.passing)
    calls.service.on_talking = voice.talking
    return voice
