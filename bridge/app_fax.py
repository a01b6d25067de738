"""Orders by fax for one daemon, put together; the modems are the port process's."""

from __future__ import annotations

import asyncio

from PIL import Image

from bridge.channels.fax import FaxChannel, FaxInbox, MakePaper, Reading
from bridge.channels.ports_client import PortsClient
from bridge.channels.radio import GatewayPost
from bridge.documents.returned import PageTooLarge, Returned, read_page
from bridge.flows.ports import Clock, FromChannel
from bridge.settings import SettingsError
from bridge.settings_wires import Fax


def read_returned(page: Image.Image) -> Reading:
    """What a page says; a page too large for any sheet of ours says nothing."""
    try:
        return read_page(page, page.info.get("dpi"))
    except PageTooLarge as large:
        return Returned(trouble=str(large))


async def open_fax(
    settings: Fax,
    client: PortsClient | None,
    post: GatewayPost | None,
    paper: MakePaper,
    tell: FromChannel,
    clock: Clock,
) -> FaxChannel:
    """The wire `fax`, and the inbox of pages. Raises SettingsError."""
    if client is None or post is None:
        raise SettingsError(
            "[fax]: 需要 [ports]，调制解调器由端口进程拥有 / [ports] is needed too: the port "
            "process owns the modems"
        )
    try:
        await asyncio.to_thread(settings.inbox.mkdir, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"fax.inbox: {error}") from error
    post.fax = FaxInbox(settings.inbox, read_returned, tell)
    return FaxChannel(client, paper, tell, clock)
