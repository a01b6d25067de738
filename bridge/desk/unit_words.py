"""An order in the words of a unit's page."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.domain.delivery import OrderSheet, Says
from bridge.domain.order import Order
from bridge.domain.order_state import O

SAYS = {says.value: says for says in Says if says is not Says.NOTHING}

STATES = {
    O.DRAFT: "待确认",
    O.DISPATCHED: "待签收",
    O.EXHAUSTED: "待签收",
    O.ACKNOWLEDGED: "已签收",
    O.ARRIVED: "已到场",
    O.RESULT: "已反馈结果",
    O.CLOSED: "已办结",
    O.CANCELLED: "已取消",
}
_KINDS = {
    "site": "出警处置",
    "command": "指挥",
    "notice": "通报",
    "equipment": "装备调用",
    "inspection": "检查指导",
    "support": "保障支援",
}
_REPORTS = {
    "arrived": "到场",
    "progress": "进展",
    "result": "结果",
    "promise": "承诺",
}


def order_lines(sheet: OrderSheet) -> list[tuple[str, str]]:
    """Name and value of everything on the sheet that carries something."""
    limits = [
        f"到场 {sheet.arrival_limit_s // 60} 分钟" if sheet.arrival_limit_s else "",
        f"反馈结果 {sheet.result_limit_s // 3600} 小时" if sheet.result_limit_s else "",
    ]
    kind = _KINDS.get(sheet.kind, sheet.kind) + (sheet.role and f"({sheet.role})")
    lines = [
        ("类型", kind + (" 紧急" if sheet.klass == "URGENT" else "")),
        ("催办", f"第 {sheet.reminder} 次" if sheet.reminder else ""),
        ("中队", sheet.squad),
        ("地点", sheet.place),
        ("内容", sheet.words),
        ("类别", sheet.category),
        ("装备", sheet.equipment),
        ("绿色通道", "是" if sheet.green else ""),
        ("来电号码", sheet.caller_number or ""),
        ("求助人", sheet.caller_name or ""),
        ("时限", " ".join(filter(None, limits))),
        ("办结码", sheet.code),
        ("回拨", f"{sheet.centre} {sheet.centre_number}"),
    ]
    return [(name, value) for name, value in lines if value]


def order_story(order: Order) -> Iterator[str]:
    """What people said about it so far, oldest first."""
    signed = order.acknowledged
    if signed is not None:
        yield f"签收 {signed['by']}"
    if order.in_hand is not None:
        yield f"已在处置 {order.in_hand}".rstrip()
    if order.dispute is not None:
        yield f"异议 {order.dispute.get('words', '')}".rstrip()
    for report in order.reports:
        when = f",承诺 {report.promised_at:%Y-%m-%d %H:%M}" if report.promised_at else ""
        files = f",附件 {len(report.attachments)} 个" if report.attachments else ""
        says = _REPORTS.get(report.says, report.says)
        yield f"{says} {report.by} {report.words}{when}{files}".rstrip()
    for unit in order.passed_on:
        yield f"请求移交 {unit}"
    if order.cancelled is not None:
        yield f"中心取消:{order.cancelled.get('reason', '')}"
