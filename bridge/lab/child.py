"""Telephones that are programs of their own: started below a directory, ended with us."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from pathlib import Path
from typing import Final

from bridge.lab.packages import find_program
from bridge.lab.ports import HOST

FIRST_PORT: Final = 61_000
LAST_PORT: Final = 65_000
TRIES: Final = 500
KINDS: Final = (socket.SOCK_DGRAM, socket.SOCK_STREAM)


async def launch(command: list[str], directory: Path) -> asyncio.subprocess.Process:
    """Start a program in `directory`; what it prints goes to the file `output` there.

    The kernel ends it when this process dies, as far as that can be had. Raises OSError when it
    cannot be started.
    """
    if (setpriv := find_program("setpriv")) is not None:
        command = [setpriv, "--pdeathsig", "KILL", "--", *command]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
    }
    with (directory / "output").open("wb") as output:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            cwd=directory,
            env=environment,
        )


async def end(process: asyncio.subprocess.Process, patience: float = 0.0) -> int:
    """Its exit status: by itself within `patience` seconds, else killed."""
    if process.returncode is None:
        try:
            async with asyncio.timeout(patience):
                await process.wait()
        except TimeoutError:
            if process.returncode is None:
                process.kill()
    return await process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses just now, nor the one above it, for TCP and UDP: a
    telephone takes both. None that the system gives out by itself (32768 to 60999).

    Raises OSError when there is none.
    """
    for _ in range(TRIES):
        port = random.randrange(FIRST_PORT, LAST_PORT, 2)
        if all(_free(port + step, kind) for step in (0, 1) for kind in KINDS):
            return port
    raise OSError(f"no free pair of ports from {FIRST_PORT} to {LAST_PORT}")


def _free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
