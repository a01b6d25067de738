"""Orders by fax for one daemon, put together; the modems are the port process's."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bridge.channels.fax import FaxChannel, FaxInbox, MakePaper, Reading
from bridge.channels.ports_client import PortsClient
from bridge.channels.radio import GatewayPost
from bridge.documents.limited import Unreadable, read_file
from bridge.documents.returned import Returned
from bridge.flows.ports import Clock, FromChannel
from bridge.settings.model import SettingsError
from bridge.settings.wires import Fax


async def read_returned(file: Path) -> Reading:
    """What the file of one page says, read in a confined process (guard S12). Whatever is wrong
    with it is its trouble: a person looks."""
    try:
        pages = await read_file(file)
    except (Unreadable, OSError) as error:
        return Returned(trouble=f"传真无法识读 / the page cannot be read: {error}"[:300])
    if len(pages) != 1:
        return Returned(trouble=f"文件有 {len(pages)} 页 / {len(pages)} pages in place of one")
    return pages[0].read


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
