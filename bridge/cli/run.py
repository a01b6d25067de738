"""`bridge110 run`: the daemon itself."""

from __future__ import annotations

import asyncio

from bridge.cli.output import Config, settings_of
from bridge.settings.model import DEFAULT_CONFIG


def run(config: Config = DEFAULT_CONFIG) -> None:
    """运行守护进程 / run the daemon until it is told to stop."""
    settings = settings_of(config, look_at_disk=True)
    from bridge.app.daemon import main  # the whole daemon: no other command needs it

    asyncio.run(main(settings, lambda: settings_of(config, look_at_disk=True)))
