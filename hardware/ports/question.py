"""One question to the port process by a tool that only looks."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

from hardware.ports.wire import Body, Decoder, PortsProtocolError, encode

ANSWER_S: Final = 5.0


class NoAnswer(Exception):
    """The port process does not answer; the text names the socket and the mend."""


async def question(socket: Path, kind: str) -> Body:
    """The answer to `list`. Raises NoAnswer."""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(encode({"type": kind, "id": 1}))
                decoder = Decoder()
                while data := await reader.read(65536):
                    for body in decoder.feed(data):
                        if body["type"] == "answer":
                            return body
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, PortsProtocolError) as error:
        why = str(error) or "no answer in time"
        raise NoAnswer(
            f"{socket}: 端口进程无应答,请启动 bridge110-ports / the port process does not answer "
            f"({why}); start bridge110-ports, or name devices to ask them without it"
        ) from error
    raise NoAnswer(f"{socket}: 端口进程关闭了连接 / the port process closed the connection")
