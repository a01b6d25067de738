"""Calls that came in = delivered + explained: what the switch saw beside what the journal tells.

The switch's own log (CEL) knows every call that came in; the journal must know it too, must know
whether anybody spoke with the citizen, and must say how it ended. A call of which that is not so is
a *difference*: somebody looks at it. Pure; the logs are read elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from bridge.domain.handoff import CallOutcome

GONE_BY_NETWORK: Final = frozenset({27, 38, 41, 44, 102})
"""Q.850 causes of a leg that died: out of order, no media any more, a timer. Nobody let it go."""


@dataclass(slots=True)
class SwitchCall:
    """A call from outside as the switch's log tells it. Its id is the citizen's Uniqueid."""

    id: str
    channel: str
    at: datetime
    number: str = ""
    named: bool = False
    """Whether the plan made a case of it."""
    met_at: datetime | None = None
    """When somebody was in a bridge with the citizen."""
    ended_at: datetime | None = None
    cause: int = 0
    source: str = ""
    """The channel that hung up the citizen's; another's, or none, where the switch let it go."""

    @property
    def let_go(self) -> bool:
        """The switch ended the call, not the citizen."""
        return (
            self.ended_at is not None
            and self.source != self.channel
            and self.cause not in GONE_BY_NETWORK
        )


@dataclass(frozen=True, slots=True)
class ToldCall:
    """The same call as the journal tells it. `delivered`: somebody spoke with the citizen."""

    id: str
    case: str
    at: datetime
    delivered: bool
    outcome: str | None
    number: str = ""


class Verdict(StrEnum):
    """What becomes of one call in the reckoning."""

    DELIVERED = "delivered"
    EXPLAINED = "explained"
    WAITING = "waiting"
    MISSING = "missing"
    NOT_NAMED = "not_named"
    OPEN = "open"
    ENDED_TOO_SOON = "ended_too_soon"
    NOT_TOLD = "not_told"
    NOT_SEEN = "not_seen"
    DROPPED = "dropped"
    UNEXPLAINED = "unexplained"
    NOT_IN_SWITCH = "not_in_switch"

    @property
    def is_difference(self) -> bool:
        return self in WORDS


WORDS: Final[Mapping[Verdict, tuple[str, str]]] = {
    Verdict.MISSING: (
        "来电未入日志,请按号码回拨",
        "came in, not in the journal: call the number back",
    ),
    Verdict.NOT_NAMED: (
        "来电未被拨号方案受理,请检查 dialplans 与中继,并回拨",
        "came in, the plan made no case of it: look at dialplans and trunk, call back",
    ),
    Verdict.OPEN: (
        "通话已结束,日志没有结局,请核实后回拨",
        "ended, the journal says no outcome: find out, call back",
    ),
    Verdict.ENDED_TOO_SOON: (
        "日志称已结束,交换机上仍有此通话,市民可能还在线",
        "over in the journal, not on the switch: the citizen may still be there",
    ),
    Verdict.NOT_TOLD: (
        "有人与市民通话,日志没有记载",
        "somebody spoke with the citizen, the journal does not know",
    ),
    Verdict.NOT_SEEN: (
        "日志称已接通,交换机上没有人与市民通话,请回拨",
        "delivered in the journal, nobody spoke with the citizen: call back",
    ),
    Verdict.DROPPED: (
        "日志称市民挂机,实为交换机中断,请立即回拨",
        "the journal says the citizen left, the switch let the call go: call back now",
    ),
    Verdict.UNEXPLAINED: (
        "日志的结局不能说明通话为何结束,请核实后回拨",
        "the journal's outcome does not explain the end: find out, call back",
    ),
    Verdict.NOT_IN_SWITCH: (
        "日志有此通话,交换机日志没有,请检查 CEL 文件是否完整",
        "in the journal, not in the switch's log: see whether its files are whole",
    ),
}
"""What a difference means and what to do, zh-CN and English."""

_NEEDS_A_PARTY: Final = frozenset(
    {CallOutcome.ENDED_BY_SEAT.value, CallOutcome.ENDED_BY_PEER.value}
)


def judge(seen: SwitchCall, told: ToldCall | None) -> Verdict:
    """The verdict on one call of the switch's log; the first difference counts."""
    if told is None:
        return Verdict.MISSING if seen.named else Verdict.NOT_NAMED
    lost = told.outcome == CallOutcome.LOST_WITH_ASTERISK.value
    ended = seen.ended_at is not None
    met = seen.met_at is not None
    if ended and told.outcome is None:
        return Verdict.OPEN
    if told.outcome is not None and not ended and not lost:
        return Verdict.ENDED_TOO_SOON
    if met and not told.delivered:
        return Verdict.NOT_TOLD
    if told.delivered and not met:
        return Verdict.NOT_SEEN
    if told.outcome == CallOutcome.CITIZEN_LEFT.value and seen.let_go:
        return Verdict.DROPPED
    if told.outcome == CallOutcome.UNKNOWN.value or (not met and told.outcome in _NEEDS_A_PARTY):
        return Verdict.UNEXPLAINED
    if met:
        return Verdict.DELIVERED
    return Verdict.EXPLAINED if told.outcome is not None else Verdict.WAITING


@dataclass(frozen=True, slots=True)
class Difference:
    """One call that switch and journal tell differently."""

    call: str
    case: str | None
    verdict: Verdict
    at: datetime
    number: str

    def __str__(self) -> str:
        zh, en = WORDS[self.verdict]
        return f"{self.call}: {zh} / {en}"


@dataclass(slots=True)
class Reckoning:
    """The sum: `came_in` = delivered + explained + waiting + the differences of `came_in`."""

    came_in: int = 0
    delivered: int = 0
    waiting: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    """By outcome."""
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        return not self.differences


def reckon(switch: Iterable[SwitchCall], journal: Mapping[str, ToldCall]) -> Reckoning:
    """Compare both logs of the same span of time, call by call."""
    sum_ = Reckoning()
    left = dict(journal)
    for seen in switch:
        told = left.pop(seen.id, None)
        verdict = judge(seen, told)
        sum_.came_in += 1
        if verdict is Verdict.DELIVERED:
            sum_.delivered += 1
        elif verdict is Verdict.EXPLAINED:
            sum_.explained[(told.outcome if told else None) or ""] += 1
        elif verdict is Verdict.WAITING:
            sum_.waiting += 1
        else:
            sum_.differences.append(difference(seen, told, verdict))
    for told in left.values():
        verdict = Verdict.NOT_IN_SWITCH
        sum_.differences.append(Difference(told.id, told.case, verdict, told.at, told.number))
    return sum_


def difference(seen: SwitchCall, told: ToldCall | None, verdict: Verdict) -> Difference:
    """A difference about a call that the switch saw."""
    case = told.case if told else None
    return Difference(seen.id, case, verdict, seen.at, seen.number)
