"""One leg's FastAGI request: panoramisk's Request with arguments instead of lines, and deadlines.

Mends F4-F8 of the libraries sheet; what the bytes mean is decided in `bridge.wire.agi`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from panoramisk.fast_agi import Application, Request

from bridge.wire.agi import (
    AgiCommandError,
    AgiPeerError,
    Answer,
    AnswerDecoder,
    Hangup,
    Target,
    encode_command,
)

READ_BYTES: Final = 4096


class AgiHangup(Exception):
    """The channel is gone, or Asterisk closed the connection: nothing more can be asked."""


class AgiLate(Exception):
    """One command was not answered within its deadline."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the server. Times in seconds; the dialplan's own limit on the AGI is 25 s."""

    header_s: float = 3.0
    command_s: float = 8.0
    handler_s: float = 20.0
    per_address: int = 96
    total: int = 128


class AgiRequest(Request):  # type: ignore[misc]  # panoramisk is untyped
    """One leg's request: its headers, what it asked for, and a way to command its channel."""

    headers: Mapping[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __init__(
        self,
        app: Application,
        limits: Limits,
        headers: Mapping[str, str],
        target: Target,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        super().__init__(app=app, headers=headers, reader=reader, writer=writer)
        self.target = target
        self.hung_up = False
        self._limits = limits
        self._decoder = AnswerDecoder()

    async def command(self, *arguments: str, deadline: float | None = None) -> Answer:
        """Send one command and wait for its answer, `deadline` seconds at most.

        Raises AgiHangup, AgiLate, AgiPeerError, and AgiCommandError for an argument that must
        not be sent. After any of them but AgiCommandError the request is of no further use.
        """
        line = encode_command(*arguments)
        if self.hung_up:
            raise AgiHangup(f"channel gone before {arguments[0]}")
        try:
            async with asyncio.timeout(self._limits.command_s if deadline is None else deadline):
                self.writer.write(line)
                await self.writer.drain()
                answer = await self._answer()
        except TimeoutError as error:
            raise AgiLate(f"no answer to {arguments[0]}") from error
        except ConnectionError as error:
            raise AgiHangup(f"connection lost in {arguments[0]}") from error
        if answer.code == 511:  # a dead channel
            self.hung_up = True
            raise AgiHangup(f"{arguments[0]} on a dead channel")
        return answer

    async def send_command(self, command: str) -> object:
        """Refused: a finished line cannot be checked for a second command in it (F8)."""
        raise AgiCommandError("use command(), which takes the arguments one by one")

    async def _answer(self) -> Answer:
        while True:
            data = await self.reader.read(READ_BYTES)
            if not data:
                self.hung_up = True
                raise AgiHangup("connection closed by Asterisk")
            items = self._decoder.feed(data)
            self.hung_up = self.hung_up or any(isinstance(item, Hangup) for item in items)
            answers = [item for item in items if isinstance(item, Answer)]
            if len(answers) > 1:
                raise AgiPeerError("an answer that nobody asked for")
            if answers:
                return answers[0]
