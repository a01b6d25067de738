"""Which units' terminals are connected now, and a bounded line to each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from bridge.domain.journal import Json

WAITING = 200
"""Messages that wait for one terminal; above it the terminal is let go and comes back."""
PER_UNIT = 20
"""Terminals of one unit; above it the oldest is let go."""


class TerminalLine:
    """One connected terminal. `gone` once it was let go."""

    def __init__(self, unit: str, user: str) -> None:
        self.unit = unit
        self.user = user
        self.gone = asyncio.Event()
        self._waiting: asyncio.Queue[Mapping[str, Json]] = asyncio.Queue(WAITING)

    def push(self, message: Mapping[str, Json]) -> None:
        """Queue a message. Never blocks."""
        try:
            self._waiting.put_nowait(message)
        except asyncio.QueueFull:
            self.gone.set()

    async def next(self) -> Mapping[str, Json]:
        """The next message for this terminal."""
        return await self._waiting.get()


class Terminals:
    """Connected terminals by unit. `on_change(unit, online)` is called when that changes."""

    def __init__(self, on_change: Callable[[str, bool], None] = lambda _unit, _on: None) -> None:
        self.on_change = on_change
        self._lines: dict[str, list[TerminalLine]] = {}

    def attach(self, unit: str, user: str) -> TerminalLine:
        """A terminal of that unit is connected, signed in as `user`."""
        line = TerminalLine(unit, user)
        lines = self._lines.setdefault(unit, [])
        lines.append(line)
        if len(lines) > PER_UNIT:
            lines.pop(0).gone.set()
        if len(lines) == 1:
            self.on_change(unit, True)
        return line

    def detach(self, line: TerminalLine) -> None:
        """It is not connected any more."""
        lines = self._lines.get(line.unit, [])
        if line in lines:
            lines.remove(line)
        if not lines and self._lines.pop(line.unit, None) is not None:
            self.on_change(line.unit, False)

    def online(self, unit: str) -> bool:
        """Whether a terminal of that unit is connected."""
        return bool(self._lines.get(unit))

    def push(self, unit: str, message: Mapping[str, Json]) -> bool:
        """Send to every terminal of the unit. False: none is connected."""
        lines = self._lines.get(unit, [])
        for line in lines:
            line.push(message)
        return bool(lines)
