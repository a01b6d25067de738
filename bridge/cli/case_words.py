"""Facts of a case in words for people: zh-CN first, then English. Pure.

A fact of a kind unknown here (a newer journal) is shown by its kind: nothing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final

from bridge.cli import order_words
from bridge.cli.output import masked, shown
from bridge.domain.call import Book, Role
from bridge.domain.journal import Entry, Fact

PHONE_DIGITS: Final = 9
"""Numbers of radios are shorter than those of telephones."""
_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "call.offered": ("来电 {number} → {entry}", "call from {number} to {entry}"),
    "call.state": ("通话状态 {from} → {to}", "call {from} → {to}"),
    "call.service": ("请求 {service}({actor})", "{actor} asks for {service}"),
    "call.intends": ("准备执行 {kind}", "intends {kind}"),
    "call.originated": ("{leg} 开始呼叫", "{leg} is called"),
    "call.delivered": ("{leg} 振铃", "{leg} rings"),
    "leg.answered": ("{leg} 摘机", "{leg} answered"),
    "call.established": ("{leg} 进入通话", "{leg} is in the conversation"),
    "leg.left": ("{leg} 离开通话", "{leg} left the conversation"),
    "leg.muted": ("{leg} 静音 {on}", "{leg} muted: {on}"),
    "leg.still": ("{leg} 话机无声音数据", "the telephone of {leg} sends nothing"),
    "leg.late": ("{leg} 迟到,立即挂断", "{leg} came after it was given up: hung up"),
    "call.held": ("{leg} 被保持", "{leg} is held"),
    "call.connectionCleared": ("{leg} 拆线(原因 {cause})", "{leg} cleared (cause {cause})"),
    "call.alone": ("市民无人接听,自动重新派接", "the citizen is alone, the walk begins"),
    "call.callback": ("待回拨 {number}({reason})", "call back {number} ({reason})"),
    "call.ending": ("通话将结束 {by}", "the call is ending: {by}"),
    "call.cleared": ("通话结束 {outcome}", "the call ended: {outcome}"),
    "call.unobserved": ("{from} 至 {to} 未观测", "not observed from {from} to {to}"),
    "reconcile.difference": (
        "对账不符:{verdict}",
        "the switch's log tells it differently: {verdict}",
    ),
    "recording.closed": ("录音已归档", "recording closed"),
    "case.described": ("登记案情({actor})", "{actor} writes what the matter is"),
    "case.attached": ("附件 {attachments}({actor})", "{actor} attaches {attachments}"),
    "paper.printed": ("打印{title} {subject}({actor})", "{actor} prints {title} {subject}"),
    "case.command": (
        "指挥权 {from} → {holder} {plan}({actor})",
        "command {from} → {holder} {plan} ({actor})",
    ),
    "handoff.requested": ("移交 {target}({way})", "handoff to {target} ({way})"),
    "handoff.ringing": ("移交:对方振铃", "handoff: they ring"),
    "handoff.answered": ("移交:对方摘机,尚无人确认", "handoff: answered, no person yet"),
    "handoff.accepted": ("移交:有人确认接听", "handoff: a person accepted"),
    "handoff.joined": ("移交:对方已加入", "handoff: they joined"),
    "handoff.taken": ("移交:对方独立接办", "handoff: they answer for it now"),
    "handoff.leaveLater": ("接听后坐席退出", "the seat leaves when accepted"),
    "handoff.cancelled": ("移交:已取消", "handoff: cancelled"),
    "handoff.fallback": ("移交:改走备用路由", "handoff: by the second way"),
    "handoff.ended": ("移交结束 {outcome}", "handoff ended: {outcome}"),
    **order_words.KINDS,
}

_OUTCOMES: Final[Mapping[str, str]] = {
    "completed": "已移交",
    "taken_back": "已收回",
    "peer_left": "对方退出",
    "cancelled": "已取消",
    "busy": "对方忙",
    "no_answer": "无人接听",
    "rejected": "对方拒接",
    "not_accepted": "无人确认",
    "unreachable": "无法接通",
    "failed": "失败",
    "citizen_left": "市民挂机",
    "ended_by_seat": "坐席结束",
    "ended_by_peer": "对方结束",
    "ended_by_desk": "接警台结束",
    "unknown": "不明",
    "lost_with_asterisk": "交换机故障中断",
}

_STATES: Final[Mapping[str, str]] = {
    "queued": "排队",
    "alerting": "振铃",
    "established": "通话",
    "conferenced": "多方通话",
    "parted": "各方已离开",
    "held": "保持",
    "consulting": "咨询",
    "alternated": "切换",
    "waiting": "等待接听",
    "ending": "结束中",
    "cleared": "已结束",
    "open": "办理中",
}

_ROLES: Final[Mapping[str, str]] = {
    Role.CITIZEN.value: "市民",
    Role.SEAT.value: "坐席",
    Role.HOTLINE.value: "热线",
    Role.UNIT.value: "单位",
    Role.LEADER.value: "值班长",
    Role.RADIO.value: "电台组",
}

_WAYS: Final[Mapping[str, str]] = {
    "three-way": "一键三方",
    "transfer": "一键转接",
    "consult": "咨询",
    "key": "话机按键",
    "incoming": "来电",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a case's time line. `after_s`: seconds since the case began."""

    at: datetime
    after_s: float
    zh: str
    en: str
    learnt: bool

    def text(self, zone: tzinfo) -> str:
        """The line as it is printed."""
        late = "(事后得知 / learnt later) " if self.learnt else ""
        local = self.at.astimezone(zone)
        return (
            f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}  {self.after_s:+9.3f}  "
            f"{late}{self.zh} / {self.en}"
        )


def timeline(entries: list[Entry], *, full_numbers: bool) -> list[Moment]:
    """The facts of one case in the order in which they happened, in words."""
    if not entries:
        return []
    book, moments = Book(), []
    begun = min(entry.fact.at for entry in entries)
    for entry in entries:
        fact = entry.fact
        book.apply(fact)
        zh, en = _words(fact, book, full_numbers)
        after = (fact.at - begun).total_seconds()
        moments.append(Moment(fact.at, after, zh, en, fact.learnt_at is not None))
    return sorted(moments, key=lambda moment: moment.at)  # stable: the journal's order within


def outcome_words(outcome: object) -> str:
    """An outcome of the closed list, in Chinese."""
    return _OUTCOMES.get(str(outcome), shown(outcome))


def state_words(state: object) -> str:
    """A state of a call or case, in Chinese."""
    return _STATES.get(str(state), shown(state))


def _words(fact: Fact, book: Book, full_numbers: bool) -> tuple[str, str]:
    found = _KINDS.get(fact.kind)
    if found is None:
        return shown(fact.kind), shown(fact.kind)
    zh, en = _values(fact, book, full_numbers)
    return found[0].format_map(zh), found[1].format_map(en)


def _values(
    fact: Fact, book: Book, full_numbers: bool
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    data: Mapping[str, Any] = fact.data
    intent = data.get("intent")
    number = str(data.get("number", ""))
    kind = intent.get("kind") if isinstance(intent, dict) else data.get("kind")
    by = str(data.get("by", "-"))
    hidden = not full_numbers and by.lstrip("+").isdigit() and len(by) >= PHONE_DIGITS
    zh_leg, en_leg = _leg(fact, book)
    en = _Blank({key: shown(value) for key, value in data.items()})
    en |= {
        "number": shown(number if full_numbers else masked(number)) or "-",
        "actor": shown(fact.actor),
        "subject": shown(fact.subject or "-"),
        "by": shown(masked(by) if hidden else by),
        "leg": en_leg,
        "kind": shown(kind or "-"),
        "way": shown(kind or "-"),
    }
    zh = _Blank(en) | {"leg": zh_leg}
    for key, words in (
        ("outcome", _OUTCOMES),
        ("by", _OUTCOMES),
        ("from", _STATES),
        ("to", _STATES),
    ):
        if str(data.get(key)) in words:
            zh[key] = words[str(data[key])]
    zh["way"] = _WAYS.get(str(kind), en["way"])
    return _Blank(zh), en


class _Blank(dict[str, str]):
    """A value that an older journal does not have is shown as `-`."""

    def __missing__(self, key: str) -> str:
        return "-"

    def __or__(self, other: Any) -> Any:
        return _Blank({**self, **other})


def _leg(fact: Fact, book: Book) -> tuple[str, str]:
    call = book.calls.get(fact.call or "")
    leg = call.legs.get(fact.subject or "") if call else None
    if leg is None:
        return "-", "-"
    role = _ROLES.get(leg.role.value, leg.role.value)
    number = leg.seat or ("" if leg.role in (Role.CITIZEN, Role.HOTLINE) else leg.name)
    return f"{role} {shown(number)}".strip(), shown(leg.name)
