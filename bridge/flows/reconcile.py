"""The standing reckoning: every call of the switch's log is in the journal, and its end explained.

Whatever loses a call between the switch and the store, a full queue, a cap, a fault, a dialplan
that lets it go, shows here within seconds: as an alarm on the desk and a fact in the journal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

import structlog

from bridge.domain.reconcile import (
    WORDS,
    Difference,
    SwitchCall,
    ToldCall,
    Verdict,
    difference,
    judge,
)
from bridge.flows.ports import StoreError

_log = structlog.get_logger(__name__)

EVERY_S: Final = 1.5
GRACE_S: Final = 4.0
"""What the journal may be behind the switch: a commit's deadline and a look at both. With two
rounds, an alarm comes within 7 s of what it tells of."""
REMEMBERED_S: Final = 24 * 3600.0
"""How long a difference stands in the alarm; the report of its day has it for ever."""
NAMED: Final = 3
"""Calls named in the alarm; the report names all."""
LEARN_AGAIN_S: Final = 30.0
"""Least time between two requests to read the switch's log again."""
LEARNABLE: Final = frozenset({Verdict.MISSING, Verdict.OPEN})
"""Differences that end when the daemon takes up from the log what it has not seen."""


class SwitchLog(Protocol):
    """The switch's own account (CEL)."""

    @property
    def let_go(self) -> int:
        """Calls that could not be kept in mind: there were too many at a time."""
        ...

    async def read(self) -> Mapping[str, SwitchCall]:
        """Every call not settled yet, as it stands now. Raises OSError."""
        ...

    def settle(self, call: str) -> None: ...


Journal = Callable[[Collection[str]], Awaitable[Mapping[str, ToldCall]]]
"""What the durable journal tells of these calls. Raises StoreError."""


class Reconciliation:
    """Compares, a `round` each EVERY_S. `alarm(words)` at each change, empty: all agrees again;
    `found(difference)` once for each that is not among `known`, what earlier lives of the daemon
    have recorded; `learn_again()` asks to take up what was not seen."""

    def __init__(
        self,
        log: SwitchLog,
        journal: Journal,
        *,
        monotonic: Callable[[], float],
        alarm: Callable[[str], None],
        found: Callable[[Difference], None],
        learn_again: Callable[[], None],
        known: Mapping[str, Verdict] | None = None,
    ) -> None:
        self._log = log
        self._journal = journal
        self._monotonic = monotonic
        self._alarm = alarm
        self._found = found
        self._learn_again = learn_again
        self._since: dict[str, tuple[Verdict, float]] = {}
        self._told: dict[str, Verdict] = dict(known or {})
        self._words = ""
        self._asked_at = -LEARN_AGAIN_S

    async def round(self) -> None:
        """One comparison of everything that is not settled."""
        try:
            calls = await self._log.read()
            told = await self._journal(calls.keys()) if calls else {}
        except OSError as error:
            self._tell(_UNREADABLE.format(error))
            return
        except StoreError as error:  # shown by the store itself; looked at again in a moment
            _log.warning("reconcile.no_journal", reason=str(error))
            return
        now = self._monotonic()
        due = [one for call in list(calls.values()) if (one := self._judge(call, told, now))]
        self._since = {call: kept for call, kept in self._since.items() if call in calls}
        self._told = {call: kept for call, kept in self._told.items() if call in self._since}
        for one in due:
            if self._told.get(one.call) is not one.verdict:
                self._told[one.call] = one.verdict
                self._found(one)
        if any(one.verdict in LEARNABLE for one in due) and now - self._asked_at >= LEARN_AGAIN_S:
            self._asked_at = now
            self._learn_again()
        self._tell(words_of(due, self._log.let_go))

    def _judge(
        self, call: SwitchCall, journal: Mapping[str, ToldCall], now: float
    ) -> Difference | None:
        """A difference that has stood for longer than the grace."""
        told = journal.get(call.id)
        verdict = judge(call, told)
        if not verdict.is_difference:
            self._since.pop(call.id, None)
            if call.ended_at is not None or (told is not None and told.outcome is not None):
                self._log.settle(call.id)
            return None
        kept, since = self._since.get(call.id, (verdict, now))
        if kept is not verdict:
            since = now
        self._since[call.id] = (verdict, since)
        if now - since > REMEMBERED_S:
            self._log.settle(call.id)
        return difference(call, told, verdict) if now - since >= GRACE_S else None

    def _tell(self, words: str) -> None:
        if words != self._words:
            self._words = words
            self._alarm(words)


_UNREADABLE = "对账无法读取交换机日志 / the switch's event log cannot be read: {}"


def words_of(due: Sequence[Difference], let_go: int = 0) -> str:
    """The alarm; empty when all agrees."""
    lines = [f"{one.call}: {' / '.join(WORDS[one.verdict])}" for one in due[:NAMED]]
    if len(due) > NAMED:
        lines.append(f"… 共 {len(due)} 件 / {len(due)} in all: bridge110 reconcile")
    if let_go:
        lines.append(
            f"{let_go} 件通话过多未能比对 / {let_go} calls were too many to be compared: "
            "bridge110 reconcile"
        )
    return "; ".join(lines)
