"""The fax lines of one daemon, put together: wire, inbox, and what the desk sees of the modems."""

from __future__ import annotations

import asyncio
from pathlib import PurePath

from PIL import Image

from bridge.channels.fax import FaxChannel, FaxInbox, FaxSite, MakePaper, Reading, Spawn
from bridge.documents.returned import PageTooLarge, Returned, read_page
from bridge.flows.ports import Clock, FromChannel
from bridge.flows.view import View
from bridge.settings_wires import Fax
from hardware.fax.line import FaxLine, LineState
from hardware.fax.t30_receiver import ReceiverSettings
from hardware.port import PortSettings


class ModemBoard:
    """The state of each line, on the event stream: link `fax`, and an alarm for a lost modem."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._states: dict[str, tuple[LineState, str]] = {}
        self._loop = asyncio.get_running_loop()

    def add(self, name: str) -> None:
        """A line that is not there yet; no alarm before its first try."""
        self._states[name] = (LineState.AWAY, "尚未打开 / not opened yet")

    def tell(self, name: str, state: LineState, why: str) -> None:
        """A line has changed; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed, name, state, why)

    def _changed(self, name: str, state: LineState, why: str) -> None:
        self._states[name] = (state, why)
        self._view.alarm(f"fax.{PurePath(name).name}", why if state is LineState.AWAY else "")
        there = [one is not LineState.AWAY for one, _ in self._states.values()]
        whole = "up" if all(there) else "degraded" if any(there) else "down"
        self._view.link("fax", {"state": whole})


def read_returned(page: Image.Image) -> Reading:
    """What a page says; a page too large for any sheet of ours says nothing."""
    try:
        return read_page(page, page.info.get("dpi"))
    except PageTooLarge as large:
        return Returned(trouble=str(large))


async def open_fax(
    settings: Fax, paper: MakePaper, tell: FromChannel, view: View, clock: Clock, spawn: Spawn
) -> FaxChannel:
    """The wire `fax`, its lines not yet running."""
    site = FaxSite(identity=settings.identity, inbox=settings.inbox)
    await asyncio.to_thread(settings.inbox.mkdir, parents=True, exist_ok=True)
    inbox = FaxInbox(site, read_returned, tell, clock, spawn)
    board = ModemBoard(view)
    lines = [_line(settings, name, inbox, board) for name in settings.ports]
    return FaxChannel(lines, site, paper, tell, clock, spawn)


def _line(settings: Fax, name: str, inbox: FaxInbox, board: ModemBoard) -> FaxLine:
    board.add(name)
    return FaxLine(
        PortSettings(name=name, rate=settings.rate, rtscts=settings.rtscts),
        answers=ReceiverSettings(identity=settings.identity) if settings.answers else None,
        on_received=inbox.take,
        on_state=lambda state, why: board.tell(name, state, why),
    )
