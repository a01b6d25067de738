"""`bridge110 ports`: the process that owns radios, modems and their gateways."""

from __future__ import annotations

import asyncio
import random
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from bridge.app.sd_notify import notify
from bridge.cli.output import CommandError, tell
from hardware.gateways import GatewayError, read_gateways
from hardware.ports.journal import Journal, JournalError
from hardware.ports.process import PortProcess
from hardware.ports.server import PortServer

GATEWAYS: Final = Path("/etc/bridge110/gateways.toml")
STATE: Final = Path("/var/lib/bridge110-ports")
SOCKET: Final = Path("/run/bridge110-ports/ports.sock")


def ports(
    gateways: Annotated[
        Path, typer.Option("--gateways", help="网关文件 / the file of gateways")
    ] = GATEWAYS,
    state: Annotated[
        Path, typer.Option("--state", help="日志目录 / folder of its journal")
    ] = STATE,
    socket: Annotated[Path, typer.Option("--socket", help="套接字 / its socket")] = SOCKET,
    trace: Annotated[
        Path | None, typer.Option("--trace", help="串口字节记录目录 / folder of byte traces")
    ] = None,
) -> None:
    """端口进程:独占串口设备 / own every radio and modem until told to stop."""
    try:
        found = read_gateways(gateways)
    except GatewayError as error:
        raise CommandError(str(error)) from error
    spool = state / "fax-in"
    for folder in (state, spool, socket.parent, trace):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(state / "ports.journal")
    process = PortProcess(
        found,
        journal,
        rng=random.SystemRandom(),
        now=lambda: datetime.now(UTC),
        traces=trace,
        spool=spool,
    )
    try:
        asyncio.run(_run(process, PortServer(process, socket)))
    except* JournalError as errors:
        raise CommandError(str(errors.exceptions[0])) from errors


async def _run(process: PortProcess, server: PortServer) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await process.open()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.run(stop))
        tasks.create_task(server.run(stop))
        notify("READY=1")
        tell("端口进程已启动 / ready")
        await stop.wait()
        notify("STOPPING=1")
