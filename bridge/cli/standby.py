"""`bridge110 standby`: looks after silent telephones while the daemon is not there."""

from __future__ import annotations

import asyncio
import signal

from bridge.app.ami import ami_settings
from bridge.app.sd_notify import READY, STOPPING, WATCHDOG, notify
from bridge.asterisk.standby import Standby
from bridge.cli.output import Config, settings_of, tell
from bridge.log import configure_logging
from bridge.settings.model import DEFAULT_CONFIG


def standby(config: Config = DEFAULT_CONFIG) -> None:
    """备援进程:守护进程不在时照看无声的话机 / looks after silent telephones without the daemon."""
    settings = settings_of(config)
    configure_logging()
    asyncio.run(_run(Standby(ami_settings(settings), beat=lambda: notify(WATCHDOG))))


async def _run(work: Standby) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    notify(READY)
    tell("备援进程已启动 / the stand-by is there")
    await work.run(stop)
    notify(STOPPING)
