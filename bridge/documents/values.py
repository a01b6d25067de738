"""The words that templates may ask for, by paper: `{order}`, `{place}` … Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, tzinfo
from typing import Final

from bridge.documents.typeface import tame
from bridge.domain.delivery import OrderSheet
from bridge.domain.paper import CallbackSheet, FaxReport, NoticeSheet, PaperKind, ReceiptSheet

Sheet = OrderSheet | NoticeSheet | CallbackSheet | ReceiptSheet | FaxReport

SHEETS: Final[Mapping[PaperKind, type[Sheet]]] = {
    PaperKind.ORDER: OrderSheet,
    PaperKind.NOTICE: NoticeSheet,
    PaperKind.CALLBACK: CallbackSheet,
    PaperKind.RECEIPT: ReceiptSheet,
    PaperKind.FAX: FaxReport,
}
EXTRA: Final[Mapping[PaperKind, Sequence[str]]] = {
    PaperKind.ORDER: ("limits", "class_words", "kind_words"),
    PaperKind.NOTICE: (),
    PaperKind.CALLBACK: ("outcome_words",),
    PaperKind.RECEIPT: ("state_words",),
    PaperKind.FAX: ("outcome_words", "pages_words", "far_words", "speed_words", "duration"),
}
NEEDED: Final[Mapping[PaperKind, Sequence[str]]] = {
    PaperKind.ORDER: ("order", "unit_name", "place", "words"),
    PaperKind.NOTICE: ("number", "order", "unit_name", "due_at"),
    PaperKind.CALLBACK: ("case", "attitude", "speed", "level"),
    PaperKind.RECEIPT: ("handoff", "case", "to_desk", "state_words"),
    PaperKind.FAX: ("attempt", "number", "outcome_words", "pages_words", "far_words"),
}
"""Without these the paper would not be what it is called; no locality leaves them out."""

NO_WORDS: Final = frozenset({"picture", "ecm", "other_station"})
"""Fields that are no words of themselves."""

KINDS: Final[Mapping[str, str]] = {
    "site": "出警处置",
    "command": "指挥",
    "notice": "通报",
    "equipment": "装备调用",
    "inspection": "检查指导",
    "support": "保障支援",
}
CLASSES: Final[Mapping[str, str]] = {"URGENT": "紧急", "GENERAL": "一般", "POLICE": "警情"}
OUTCOMES: Final[Mapping[str, str]] = {
    "answered": "已接听",
    "no-answer": "无人接听",
    "declined": "拒绝回访",
    "no-number": "无联系号码",
}
FAX_OUTCOMES: Final[Mapping[str, str]] = {
    "queued": "等待发送",
    "sending": "正在发送",
    "delivered": "已送达，对方逐页确认",
    "unknown": "已发出，未获确认",
    "failed": "未送达",
    "withdrawn": "已撤回，未发送",
}
DRILL: Final = "演练"
DRILL_PREFIX: Final = f"【{DRILL}】"


def names(kind: PaperKind) -> frozenset[str]:
    """Every word that a template of this paper may ask for."""
    own = frozenset(one.name for one in fields(SHEETS[kind])) - NO_WORDS
    return own | frozenset(EXTRA[kind])


def kind_of(sheet: Sheet) -> PaperKind:
    return next(kind for kind, made in SHEETS.items() if isinstance(sheet, made))


def values(sheet: Sheet, zone: tzinfo) -> dict[str, str]:
    """All words of a sheet as they are printed; fields kept back are empty."""
    names = [one.name for one in fields(sheet) if one.name not in NO_WORDS]
    found = {name: _shown(getattr(sheet, name), zone) for name in names}
    return found | _more(sheet)


def marks(sheet: Sheet) -> list[str]:
    """The words in frames above the title."""
    found = [DRILL] if sheet.drill else []
    if isinstance(sheet, OrderSheet):
        found += [CLASSES["URGENT"]] if sheet.klass == "URGENT" else []
        found += ["绿色通道"] if sheet.green else []
        found += [f"第{sheet.reminder}次催办"] if sheet.reminder else []
        found += ["可能重复"] if sheet.repeat else []
    if isinstance(sheet, FaxReport) and sheet.repeat:
        found.append("可能重复")
    if isinstance(sheet, NoticeSheet) and sheet.list_number > 1:
        found.append(f"第{sheet.list_number}次督办")
    return found


def period(seconds: int) -> str:
    """`15 分钟`, `24 小时`, `1 小时 30 分钟`."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((hours, "小时"), (minutes, "分钟"), (rest, "秒"))
    return " ".join(f"{number} {word}" for number, word in parts if number) or "0 秒"


def _more(sheet: Sheet) -> dict[str, str]:
    if isinstance(sheet, OrderSheet):
        limits = [
            f"{word} {period(limit)}"
            for word, limit in (("到场", sheet.arrival_limit_s), ("反馈结果", sheet.result_limit_s))
            if limit is not None
        ]
        role = f"({tame(sheet.role)})" if sheet.role else ""
        return {
            "limits": "；".join(limits),
            "class_words": CLASSES.get(sheet.klass, tame(sheet.klass)),
            "kind_words": KINDS.get(sheet.kind, tame(sheet.kind)) + role,
        }
    if isinstance(sheet, CallbackSheet):
        return {"outcome_words": OUTCOMES.get(sheet.outcome, tame(sheet.outcome))}
    if isinstance(sheet, ReceiptSheet):
        return {"state_words": "已接受" if sheet.accepted_at else "尚未接受"}
    if isinstance(sheet, FaxReport):
        return _of_fax(sheet)
    return {}


def _of_fax(sheet: FaxReport) -> dict[str, str]:
    far = tame(sheet.far_id) or "无"
    speed = f"{sheet.bps} bit/s {tame(sheet.coding)}{' ECM' if sheet.ecm else ''}"
    took = ""
    if sheet.started_at is not None and sheet.ended_at is not None:
        took = period(max(0, round((sheet.ended_at - sheet.started_at).total_seconds())))
    return {
        "outcome_words": FAX_OUTCOMES.get(sheet.outcome, tame(sheet.outcome)),
        "pages_words": f"{sheet.pages}/{sheet.of} 页已确认" if sheet.of else "0 页",
        "far_words": f"{far}（与拨打号码不符）" if sheet.other_station else far,
        "speed_words": speed if sheet.bps else "未建立",
        "duration": took,
    }


def _shown(value: object, zone: tzinfo) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "满意" if value else "不满意"
        case tuple():
            return tame("、".join(map(str, value)))
        case datetime():
            return value.astimezone(zone).strftime("%Y年%m月%d日 %H时%M分")
        case _:
            return tame(str(value))
