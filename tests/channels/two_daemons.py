"""Two bridge110 daemons without a switch: their desks, stores and the link between them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.lab.desk_client import DeskClient
from bridge.lab.ports import HOST, LabPorts, spare_ports
from bridge.lab.process import DaemonProcess
from bridge.lab.settings_file import AMI_FILE, TOKENS_FILE, UNITS_FILE, lab_toml, lab_units
from bridge.tokens import TokenRecord, add_token, digest, new_token

DESK = "12345"
"""Each daemon knows the other by the number of this desk."""
KEY_FILE = "platform-key"
PLACES = ("etc", "spool/monitor", "log/cel-custom", "data/sounds")


@dataclass
class OneDaemon:
    """A daemon of its own site, and its shift leader's program."""

    site: str
    directory: Path
    ports: LabPorts
    process: DaemonProcess
    desk: DeskClient

    async def start(self) -> None:
        await self.process.start(wait_up=False)
        await self.until(lambda _: True, "platforms")

    async def until(
        self, wanted: Callable[[Mapping[str, Any]], object], path: str, within: float = 60.0
    ) -> Mapping[str, Any]:
        """Ask until the answer is as wanted."""
        async with asyncio.timeout(within):
            while True:
                with contextlib.suppress(OSError, ValueError):
                    reply = await self.desk.request("GET", path)
                    if reply.ok and wanted(reply.doc):
                        return reply.doc
                assert self.process.running, self.process.log.read_text()[-2000:]
                await asyncio.sleep(0.03)

    async def case(self, ident: str, status: str) -> Mapping[str, Any]:
        """The shared case once it has that status."""
        return await self.until(
            lambda doc: doc["document"]["status"] == status, f"peer-cases/{ident}"
        )

    async def do(self, path: str, **body: object) -> Mapping[str, Any]:
        return await self.desk.must("POST", path, body)


def one_daemon(site: str, directory: Path, ports: LabPorts, other: LabPorts, key: str) -> OneDaemon:
    for place in PLACES:
        (directory / place).mkdir(parents=True)
    for name, text in ((AMI_FILE, "no-switch-here"), (KEY_FILE, key)):
        (directory / name).write_text(text)
        (directory / name).chmod(0o600)
    token = new_token()
    record = TokenRecord(name=f"leader-{site}", role="L", seat="8099", sha256=digest(token))
    add_token(directory / TOKENS_FILE, record)
    url = f"http://{HOST}:{other.http}/platform/{DESK}"
    more = f"[platforms.{DESK}]\nurl = {json.dumps(url)}\n"
    more += f"key_file = {json.dumps(str(directory / KEY_FILE))}\n"
    more += 'aliases = [{ number = "12319", since = 2024-01-01 }]\n'
    text = lab_toml(ports, directory, leaders=["8099"]).replace('name = "lab"', f'name = "{site}"')
    (directory / UNITS_FILE).write_text(lab_units(), encoding="utf-8")
    config = directory / "bridge.toml"
    config.write_text(f"{text}\n{more}", encoding="utf-8")
    process = DaemonProcess(config, ports, token, log=directory / "daemon.log")
    return OneDaemon(site, directory, ports, process, DeskClient(HOST, ports.http, token, "8099"))


@contextlib.asynccontextmanager
async def two_daemons(directory: Path) -> AsyncIterator[tuple[OneDaemon, OneDaemon]]:
    """Both prepared, neither started; ended afterwards."""
    with spare_ports() as here, spare_ports() as there:
        pair = (
            one_daemon("desk-a", directory / "a", here, there, "s" * 40),
            one_daemon("desk-b", directory / "b", there, here, "s" * 40),
        )
        try:
            yield pair
        finally:
            for one in pair:
                await one.process.stop()
