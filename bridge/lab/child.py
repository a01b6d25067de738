"""Telephones that are programs of their own: started below a directory, ended with us."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from bridge.lab.packages import find_program
from bridge.lab.ports import HOST


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


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A port of 127.0.0.1 that nobody uses just now (UDP unless told otherwise)."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
