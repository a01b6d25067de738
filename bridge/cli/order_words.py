"""States and wires of orders in the operators' words."""

from __future__ import annotations

from typing import Final

from bridge.cli.output import shown

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


def channel_words(channel: str) -> str:
    """`电话 / phone`."""
    words = _CHANNELS.get(channel)
    return f"{words} / {channel}" if words else shown(channel)
