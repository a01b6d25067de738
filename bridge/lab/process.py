"""Commands of the product as processes of their own, as systemd would run them: each can be killed
at any moment and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bridge.lab.desk_client import DeskClient
from bridge.lab.ports import HOST, LabPorts
from bridge.lab.progress import SetupError
from hardware.ports.wire import Decoder, PortsProtocolError, encode

START_S: Final = 15.0
STOP_S: Final = 10.0
POLL_S: Final = 0.05


@dataclass(kw_only=True)
class Process(ABC):
    """One command; what it prints is appended to `log`."""

    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    module: str = "bridge"
    """What is run: the product, or a test's program around it."""
    process: subprocess.Popen[bytes] | None = None
    begins: int = 0
    """Where in `log` this start begins, in bytes."""

    @abstractmethod
    def arguments(self) -> list[str]:
        """The command and its options."""

    @abstractmethod
    async def wait_up(self) -> None:
        """Until it does its work. Raises SetupError."""

    @property
    def pid(self) -> int:
        """Its process id; 0 before its start."""
        return self.process.pid if self.process is not None else 0

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    async def start(self, *, wait_up: bool = True) -> None:
        """Start it, and wait until it is up. Raises SetupError."""
        self.process = self._launch()
        if wait_up:
            await self.wait_up()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.begins = log.seek(0, os.SEEK_END)
            return subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )

    def kill(self) -> None:
        """Without a word (SIGKILL)."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def stop(self) -> int:
        """Ask it to stop; its exit status."""
        if self.process is None:
            return 0
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self.process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def ended(self) -> SetupError:
        """What to say of a process that is not up: where its log is, and the end of it."""
        tail = ""
        with contextlib.suppress(OSError):
            tail = self.log.read_text(errors="replace")[-2000:]
        what = self.arguments()[0]
        return SetupError(f"{what} 未能启动 / is not up; see {self.log}:\n{tail}")


@dataclass
class DaemonProcess(Process):
    """The daemon."""

    config: Path
    ports: LabPorts
    token: str

    def arguments(self) -> list[str]:
        return ["run", "--config", str(self.config)]

    async def wait_up(self) -> None:
        """Until the desk answers and the link to Asterisk is up."""
        desk = DeskClient(HOST, self.ports.http, self.token)

        async def look() -> bool:
            if not self.running:
                raise self.ended()
            try:
                health = await desk.must("GET", "health")
            except (OSError, RuntimeError):
                return False
            return bool(health["links"].get("asterisk", {}).get("state") == "up")

        try:
            await desk.wait_for(look, START_S, "daemon up")
        except TimeoutError as error:
            raise self.ended() from error


@dataclass
class StandbyProcess(Process):
    """The stand-by, on the daemon's settings."""

    config: Path

    def arguments(self) -> list[str]:
        return ["standby", "--config", str(self.config)]

    async def wait_up(self) -> None:
        """Until its link to Asterisk is up."""
        try:
            async with asyncio.timeout(START_S):
                while b"ami.up" not in self.log.read_bytes()[self.begins :]:
                    if not self.running:
                        raise self.ended()
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise self.ended() from error


@dataclass
class PortsProcess(Process):
    """The port process on the gateways of a file."""

    gateways: Path
    state: Path
    socket: Path

    def arguments(self) -> list[str]:
        return [
            *("ports", "--gateways", str(self.gateways)),
            *("--state", str(self.state), "--socket", str(self.socket)),
        ]

    async def wait_up(self) -> None:
        """Until every gateway may be used."""
        try:
            async with asyncio.timeout(START_S):
                while not all(one["usable"] for one in await self.listed() or [{"usable": False}]):
                    if not self.running:
                        raise self.ended()
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            raise self.ended() from error

    async def listed(self) -> list[Mapping[str, Any]]:
        """Its gateways with their health; none while it does not answer."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.socket)
        except OSError:
            return []
        try:
            writer.write(encode({"type": "list", "id": 1}))
            decoder = Decoder()
            while data := await reader.read(65536):
                for body in decoder.feed(data):
                    if body["type"] == "answer":
                        found: list[Mapping[str, Any]] = body["gateways"]
                        return found
        except (OSError, PortsProtocolError):
            pass
        finally:
            writer.close()
        return []
