"""The board of the fax lines of the switch: what each does, with page, speed and ECM meanwhile.

In the form of the modem board (`hardware/fax/board.py`). How far a page has come is asked of the
switch's fax stack as long as a call is up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.domain.journal import Json
from bridge.flows.fax_ports import FaxPage
from bridge.flows.ports import ActRefused, ActUnknown

BUSY_TICK_S: Final = 1.0
IDLE_TICK_S: Final = 5.0
"""How often the switch is asked; a fax that comes in is on the board as soon."""
_NOTHING: Final[Mapping[str, Json]] = dict.fromkeys(
    ("key", "number", "page", "of", "confirmed", "bps", "ecm", "far_id")
)


@dataclass(slots=True)
class _Call:
    """A call on a line. `number` is empty for one that began before we did."""

    line: int
    number: str = ""
    pages: int = 0
    answered: bool = False
    page: FaxPage | None = None
    sending: bool = True


class LineBoard:
    """Rows for `lines` lines of an endpoint, and more where faxes come in beside them."""

    def __init__(
        self,
        pages: Callable[[], Awaitable[Sequence[FaxPage]]],
        endpoint: str,
        lines: int,
        show: Callable[[Mapping[str, Json]], None],
    ) -> None:
        """`pages` asks the switch; it raises ActRefused, ActUnknown."""
        self._pages = pages
        self._endpoint = endpoint
        self._lines = lines
        self._show = show
        self._calls: dict[str, _Call] = {}
        self._waiting: Sequence[Mapping[str, Json]] = ()
        self._paused: str | None = None

    def began(self, attempt: str, number: str, pages: int) -> None:
        """We dial."""
        self._calls[attempt] = _Call(self._free(), number, pages)
        self.show()

    def answered(self, attempt: str) -> None:
        """The far end is there."""
        if (call := self._calls.get(attempt)) is not None:
            call.answered = True
            self.show()

    def over(self, attempt: str) -> None:
        """Its line is free again."""
        if self._calls.pop(attempt, None) is not None:
            self.show()

    def waits(self, waiting: Sequence[Mapping[str, Json]], paused: str | None) -> None:
        """What waits for a line, in its order, and why nothing is sent."""
        self._waiting, self._paused = waiting, paused
        self.show()

    async def run(self) -> None:
        """Ask the switch from time to time, and show what has changed, for ever."""
        self.show()
        while True:
            await asyncio.sleep(BUSY_TICK_S if self._calls else IDLE_TICK_S)
            try:
                pages = await self._pages()
            except (ActRefused, ActUnknown):  # the link has its own alarm
                continue
            self.see(pages)

    def see(self, pages: Sequence[FaxPage]) -> None:
        """How far each fax on a line has come."""
        there = {page.name: page for page in pages}
        for name, call in list(self._calls.items()):
            if name not in there and not call.number:  # it was there before us, or came in
                del self._calls[name]
        for name, page in there.items():
            found = self._calls.get(name)
            if found is None:
                found = self._calls[name] = _Call(self._free(), sending=page.sending)
            found.answered, found.page = True, page
        self.show()

    def show(self) -> None:
        """The board as it is now."""
        rows = {call.line: self._row(name, call) for name, call in self._calls.items()}
        for line in range(1, self._lines + 1):
            rows.setdefault(line, self._state(line, "idle"))
        modems: list[Json] = [rows[line] for line in sorted(rows)]
        waiting: list[Json] = [dict(one) for one in self._waiting]
        self._show({"modems": modems, "waiting": waiting, "paused": self._paused})

    def _free(self) -> int:
        taken = {call.line for call in self._calls.values()}
        return next(line for line in range(1, len(taken) + 2) if line not in taken)

    def _state(self, line: int, state: str) -> dict[str, Json]:
        row: dict[str, Json] = {"modem": f"{self._endpoint}-{line}", "port": self._endpoint}
        return row | {"state": state, "why": "", **_NOTHING}

    def _row(self, name: str, call: _Call) -> dict[str, Json]:
        busy = "sending" if call.sending else "receiving"
        state = busy if call.answered else "dialling"
        row = self._state(call.line, state) | {"key": name}
        row |= {"number": call.number or None, "of": call.pages or None}
        page = call.page
        if page is not None and page.bps:
            on_line = min(page.page, call.pages or page.page)
            row |= {"page": on_line, "confirmed": page.done, "bps": page.bps, "ecm": page.ecm}
        return row
