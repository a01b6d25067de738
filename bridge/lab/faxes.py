"""The fax modems of a laboratory: two soft modems, and a unit's fax machine at the far end.

The port process owns the modems as it would own real ones. Soft modems come with Debian 12; where
they cannot be had, the laboratory says so and plays its case without a fax.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bridge.lab.faxnet import MACHINE, FaxNetwork
from bridge.lab.packages import find_program
from bridge.lab.progress import say
from bridge.lab.root import AsteriskRoot
from bridge.lab.settings_file import Value, Wires

UNIT: Final = "6003"
"""Has the fax machine."""
OURS: Final = "+86571110"
"""What our modems call themselves."""
OUT, IN = "7001", "7002"
"""The modem that is called first for what goes out, and the one that a returned sheet calls: each
rests for some seconds after a call."""


class Faxes:
    """Exchange, machine and modems below the laboratory's directory `run`."""

    def __init__(self, root: AsteriskRoot, run: Path) -> None:
        self.network = FaxNetwork(root, run / "faxnet", lines=(OUT, IN))
        self.there = find_program("iaxmodem") is not None

    async def open(self) -> None:
        """Switch everything on that there is. Raises SetupError."""
        if not self.there:
            say(
                "没有 iaxmodem(Debian 12 软件包),不演示传真",
                "no iaxmodem here (a package of Debian 12): no fax is shown",
            )
            return
        say("启动软调制解调器与传真机", "starting soft modems and a fax machine")
        self.network.path.mkdir(exist_ok=True)
        await self.network.start()

    async def close(self) -> None:
        """Switch everything off."""
        await self.network.stop()

    @property
    def gateways(self) -> Mapping[str, Mapping[str, Value]]:
        """What the port process is told of them."""
        if not self.there:
            return {}
        entry: dict[str, Value] = {"driver": "fax", "identity": OURS, "answers": True}
        entry |= {"port": str(self.network.device(OUT)), "rtscts": False}
        return {"fax": entry | {"more": [str(self.network.device(IN))]}}

    @property
    def wires(self) -> Wires:
        """Who has a fax machine."""
        return {UNIT: {"fax": [MACHINE]}} if self.there else {}

    def info(self) -> dict[str, Any]:
        """For `lab info`: modems by number, the machine and where it puts what it receives."""
        if not self.there:
            return {"fax": {"modems": {}, "why": "no iaxmodem on this machine"}}
        modems = {line: str(self.network.device(line)) for line in self.network.lines}
        exchange, received = str(self.network.path), str(self.network.received)
        found = {"modems": modems, "machine": MACHINE, "unit": UNIT}
        return {"fax": {**found, "exchange": exchange, "received": received}}
