"""The only code that opens a port; two libraries behind one interface: pyserial and serialx.

RTS and DTR are down from the first moment a program can have them down; a local port may still
pulse while the kernel opens it (line-keyed sheet, 1.1). Nothing here blocks the event loop.
"""

from __future__ import annotations

import asyncio

from hardware.port_hidraw import SCHEME, open_hidraw
from hardware.port_interface import (
    Backend,
    ModemLines,
    NoModemLines,
    Port,
    PortError,
    PortGone,
    PortSettings,
)
from hardware.port_name import PortNameError, check_name
from hardware.port_pyserial import open_pyserial
from hardware.port_serialx import open_serialx

__all__ = ["Backend", "ModemLines", "NoModemLines", "Port", "PortError", "PortGone", "PortSettings"]
__all__ += ["open_port"]


async def open_port(settings: PortSettings) -> Port:
    """Open exclusively, with RTS and DTR as `settings` say (down unless told). Raises PortError."""
    if settings.name.startswith(SCHEME):
        return await open_hidraw(settings)
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(None, check_name, settings.name)
    except PortNameError as wrong:
        raise PortError(str(wrong)) from wrong
    if settings.backend == "serialx":
        return await open_serialx(settings)
    return await open_pyserial(settings)
