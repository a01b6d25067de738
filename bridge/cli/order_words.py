"""States and wires of orders in the operators' words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bridge.cli.output import shown

KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "order.created": ("建立指令 {subject}", "order {subject} is written"),
    "order.dispatched": ("指令 {subject} 下达", "order {subject} is dispatched"),
    "order.reminded": ("指令 {subject} 催办", "order {subject} is repeated"),
    "order.step": (
        "指令 {subject} 第 {step} 级(从 0 起)",
        "order {subject}: step {step} of its ladder",
    ),
    "order.exhausted": ("指令 {subject} 无人签收", "nobody signed for order {subject}"),
    "order.acknowledged": ("指令 {subject} 签收 {by}", "order {subject} is signed by {by}"),
    "order.inHand": (
        "指令 {subject} 已在办 {reference}",
        "order {subject} is in hand: {reference}",
    ),
    "order.disputed": ("指令 {subject} 有异议 {words}", "order {subject} is disputed: {words}"),
    "order.disputeDecided": ("异议裁定 {outcome}", "the dispute is decided: {outcome}"),
    "order.reported": ("指令 {subject} 回告 {says} {words}", "order {subject}: {says} {words}"),
    "order.lateReport": (
        "指令 {subject} 补报 {says} {words}",
        "order {subject}, late: {says} {words}",
    ),
    "order.onward": (
        "指令 {subject} 请求{stage}移交 {whom}",
        "order {subject} is to be passed on to {whom} ({stage})",
    ),
    "order.informed": ("已告知 {who}({channel})", "{who} is informed by {channel}"),
    "order.cancelled": ("指令 {subject} 取消 {reason}", "order {subject} is cancelled: {reason}"),
    "order.redirected": (
        "指令 {subject} 传真改发 {number}:{reason}",
        "the fax of order {subject} goes to {number}: {reason}",
    ),
    "order.closed": ("指令 {subject} 办结", "order {subject} is closed"),
    "clock.started": ("时限 {clock} {limit_s} 秒开始", "clock {clock} of {limit_s} s begins"),
    "clock.met": ("时限 {clock} 内完成", "clock {clock} is met"),
    "clock.missed": ("时限 {clock} 超时", "clock {clock} is missed"),
    "attempt.queued": ("下发 {subject} 排队:{channel}", "attempt {subject} is queued: {channel}"),
    "attempt.sending": ("下发 {subject} 发送中", "attempt {subject} is on its way"),
    "attempt.sent": ("下发 {subject} 已发出", "attempt {subject} is sent"),
    "attempt.delivered": ("下发 {subject} 已送达", "attempt {subject} is delivered"),
    "attempt.read": ("下发 {subject} 已读", "attempt {subject} is read"),
    "attempt.failed": ("下发 {subject} 失败 {cause}", "attempt {subject} failed: {cause}"),
    "attempt.expired": ("下发 {subject} 过期", "attempt {subject} expired"),
    "attempt.unknown": ("下发 {subject} 结果不明", "nobody saw what became of {subject}"),
    "attempt.stopping": ("下发 {subject} 停止", "attempt {subject} is told to stop"),
    "attempt.withdrawn": ("下发 {subject} 已撤回", "attempt {subject} is withdrawn"),
    "attempt.acknowledged": ("下发 {subject} 签收", "attempt {subject} is signed for"),
}
"""Facts of orders in a case's time line."""

_STATES: Final = {
    "draft": "待确认",
    "dispatched": "已下达",
    "exhausted": "无人签收",
    "acknowledged": "已签收",
    "arrived": "已到场",
    "result": "已反馈结果",
    "closed": "已办结",
    "cancelled": "已取消",
    "queued": "待发",
    "sending": "发送中",
    "sent": "已发出",
    "delivered": "已送达",
    "read": "已读",
    "failed": "失败",
    "expired": "过期",
    "withdrawn": "已撤回",
    "unknown": "结果不明",
}
_CHANNELS: Final = {
    "terminal": "终端",
    "phone": "电话",
    "radio": "集群",
    "sms": "短信",
    "fax": "传真",
    "mail": "邮件",
}


def state_words(state: str) -> str:
    """`已签收 / acknowledged`."""
    words = _STATES.get(state)
    return f"{words} / {state}" if words else shown(state)


def along_words(along: Mapping[str, str | None]) -> str:
    """What became of the call that went along with a one-click order (LU-15)."""
    to = shown(along["to"])
    if along["refused"] is None:
        return f"通话同时转接 {to} / the call goes along to {to}"
    return f"通话未能转接 {to} / the call did not go along: {shown(along['refused'])}"


def channel_words(channel: str) -> str:
    """`电话 / phone`."""
    words = _CHANNELS.get(channel)
    return f"{words} / {channel}" if words else shown(channel)
