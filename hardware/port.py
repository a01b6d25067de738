"""The only code that opens a port; two libraries behind one interface: pyserial and serialx.

RTS and DTR are down from the first moment a program can have them down; a local port may still
pulse while the kernel opens it (line-keyed sheet, 1.1). Nothing here blocks the event loop.
"""

from __future__ import annotations

import asyncio

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
    """Open exclusively, RTS and DTR down, then as `settings` say. Raises PortError."""
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(None, check_name, settings.name)
    except PortNameError as wrong:
        raise PortError(str(wrong)) from wrong
    port: Port
    if settings.backend == "serialx":
        port = await open_serialx(settings)
    else:
        port = await open_pyserial(settings)
    if settings.rts or settings.dtr:
        try:
            await port.set_lines(rts=settings.rts or None, dtr=settings.dtr or None)
        except NoModemLines:
            pass
        except PortError:
            await port.close()
            raise
    return port
