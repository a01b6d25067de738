"""The fax lines of one daemon, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PIL import Image

from bridge.channels.fax import FaxChannel, FaxInbox, FaxSite, MakePaper, Reading, Spawn
from bridge.documents.returned import PageTooLarge, Returned, read_page
from bridge.flows.ports import Clock, FromChannel
from bridge.settings_wires import Fax
from hardware.fax.line import FaxLine
from hardware.fax.modem import Received
from hardware.fax.t30_receiver import ReceiverSettings
from hardware.port import PortSettings


def read_returned(page: Image.Image) -> Reading:
    """What a page says; a page too large for any sheet of ours says nothing."""
    try:
        return read_page(page, page.info.get("dpi"))
    except PageTooLarge as large:
        return Returned(trouble=str(large))


async def open_fax(
    settings: Fax, paper: MakePaper, tell: FromChannel, clock: Clock, spawn: Spawn
) -> FaxChannel:
    """The wire `fax`, its lines not yet running."""
    site = FaxSite(identity=settings.identity, inbox=settings.inbox)
    await asyncio.to_thread(settings.inbox.mkdir, parents=True, exist_ok=True)
    inbox = FaxInbox(site, read_returned, tell, clock, spawn)
    lines = [_line(settings, port, inbox.take) for port in settings.ports]
    return FaxChannel(lines, site, paper, tell, clock, spawn)


def _line(settings: Fax, name: str, take: Callable[[Received], None]) -> FaxLine:
    port = PortSettings(name=name, rate=settings.rate, rtscts=settings.rtscts)
    answers = ReceiverSettings(identity=settings.identity) if settings.answers else None
    return FaxLine(port, answers=answers, on_received=take)
