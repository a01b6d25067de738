"""What an order says over the air, and what a text or status number that came back means. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bridge.domain.delivery import OrderSheet, Says

TETRA_STATUS: Final[Mapping[int, Says]] = {
    0x8002: Says.SIGN,
    0x8003: Says.ARRIVED,
    0x8004: Says.RESULT,
    0x8005: Says.PROGRESS,
    0x8006: Says.DISPUTE,
}
MAP27_STATUS: Final[Mapping[int, Says]] = dict(enumerate(TETRA_STATUS.values(), 1))
"""The defaults of the orders sheet, section 6; a fleet changes them in its settings."""
STATUS_WORDS: Final[Mapping[Says, str]] = {
    Says.SIGN: "收到",
    Says.ARRIVED: "到场",
    Says.RESULT: "处置完毕",
    Says.PROGRESS: "请求支援",
    Says.DISPUTE: "有异议",
}
_MEANS: Final = (
    (Says.DISPUTE, re.compile("异议|不属于|退单")),
    (Says.RESULT, re.compile("处置完|办结|完毕|已处理")),
    (Says.ARRIVED, re.compile("到场|到达|已到")),
    (Says.IN_HAND, re.compile("已在处理|已受理")),
    (Says.SIGN, re.compile("收到|明白|好的|签收")),
)
_UNDONE: Final = re.compile("未|没|不|无|即将|马上|预计|准备|前往|赶|分钟|还要|才能")
"""Before a word: what it says is not so, or not yet."""
_CLAUSE: Final = "，,。．.；;！!？? \n"
_CODE: Final = re.compile(r"(?<![0-9])[0-9]{8}(?![0-9])", re.ASCII)
_BREAKS: Final = re.compile(r"[\r\n\t]+")


def order_text(sheet: OrderSheet) -> str:
    """The words of an order for a small display: what, where, how long, how to answer."""
    marks = ("可能重复 " if sheet.repeat else "") + ("演练 " if sheet.drill else "")
    if sheet.reminder:
        marks += f"催办{sheet.reminder} "
    urgent = "紧急 " if sheet.klass == "URGENT" else ""
    head = f"{marks}{urgent}110指令 {sheet.order} 码{sheet.code}"
    parts = [head, sheet.squad, sheet.place, sheet.words, sheet.equipment]
    if sheet.caller_number:
        parts.append(f"报警人{sheet.caller_name or ''}{sheet.caller_number}")
    if sheet.arrival_limit_s:
        parts.append(f"{sheet.arrival_limit_s // 60}分钟内到场并回告")
    if sheet.centre_number:
        parts.append(f"回电{sheet.centre_number}")
    return _BREAKS.sub(" ", "；".join(part for part in parts if part))


def meaning(text: str) -> Says:
    """What a reply in words says; one that says nothing known is still a person's report, and so is
    one that says it of what is not yet so (未到场, 马上到场)."""
    if not text.strip():
        return Says.NOTHING
    for says, words in _MEANS:
        if any(_UNDONE.search(text, *_before(text, one)) is None for one in words.finditer(text)):
            return says
    return Says.PROGRESS


def _before(text: str, found: re.Match[str]) -> tuple[int, int]:
    """The part of its clause that stands before a word."""
    clause = max((text.rfind(mark, 0, found.start()) for mark in _CLAUSE), default=-1)
    return clause + 1, found.start()


def code_in(text: str) -> str | None:
    """The closing code in a reply, unchecked."""
    found = _CODE.search(text)
    return found[0] if found else None
