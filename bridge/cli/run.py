"""`bridge110 run`: the daemon itself."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
from typing import Final

from bridge.cli.output import Config, settings_of
from bridge.settings.model import DEFAULT_CONFIG

M_ARENA_MAX: Final = -8
"""mallopt(3)."""


def run(config: Config = DEFAULT_CONFIG) -> None:
    """运行守护进程 / run the daemon until it is told to stop."""
    _one_heap()
    gc.disable()  # nothing that is made while it starts is garbage; the daemon freezes it
    settings = settings_of(config, look_at_disk=True)
    from bridge.app.daemon import main  # the whole daemon: no other command needs it

    asyncio.run(main(settings, lambda: settings_of(config, look_at_disk=True)))


def _one_heap() -> None:
    """glibc gives each thread a heap of its own that hardly ever shrinks: a busy minute leaves
    16 MB behind. Elsewhere nothing is done."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
