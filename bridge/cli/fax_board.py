"""The modem board in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.cli.output import shown, table

_STATES: Final = {
    "idle": "空闲",
    "dialling": "拨号",
    "sending": "发送",
    "receiving": "接收",
    "paused": "暂停",
    "held": "被占用",
    "unplugged": "未插入",
    "away": "无应答",
}


def board_words(boards: Sequence[Mapping[str, Any]]) -> str:
    """A line for each modem, then what waits."""
    rows = [_row(modem) for board in boards for modem in board["modems"]]
    lines = [table(rows) if rows else "没有调制解调器 / no modems are known"]
    for board in boards:
        if board["paused"] is not None:
            lines.append(f"全部暂停 / all sending is paused: {shown(board['paused'])}")
        for place, one in enumerate(board["waiting"], 1):
            urgent = "  紧急 / urgent" if one["urgent"] else ""
            pages = f"{one['pages']} 页 / pages"
            lines.append(f"等待 / waits {place}: {shown(one['number'])}  {pages}{urgent}")
    return "\n".join(lines)


def _row(modem: Mapping[str, Any]) -> list[str]:
    state = str(modem["state"])
    page = f"{modem['page']}/{modem['of']}" if modem["of"] else str(modem["page"] or "")
    ecm = " ECM" if modem["ecm"] else ""
    speed = f"{modem['bps']} bit/s{ecm}" if modem["bps"] else ""
    far = shown(modem["number"] or modem["far_id"] or "")
    words = f"{_STATES.get(state, '')} / {state}".strip(" /")
    return [shown(modem["modem"]), words, far, page, speed, shown(modem["why"])]
