"""Texts in MAP27 data messages: which coding, how many messages, what padding came back. Pure.

No coding of the standard holds Chinese. Where both ends agreed (dialect `chinese`), binary data
carry GB 18030 or UCS-2; otherwise only what CP437 can show may be sent (MAP27 sheet, 4.4).
"""

from __future__ import annotations

from typing import Final

from hardware.radio.map27_net import ASCII_7, BINARY, PC_8, Address, Data
from hardware.radio.texts import TextRefused, check_text, cut

SST_OCTETS: Final = 22
MST_OCTETS: Final = 88
MAX_PARTS: Final = 40
"""Messages of one text: 1 000 Chinese characters in extended data are 25."""
_CODECS: Final = {"gb18030": "gb18030", "ucs2": "utf_16_be"}


def messages(text: str, address: Address, chinese: str, extended: bool) -> list[Data]:
    """The data messages of a text, each marked `n/m ` where there is more than one.

    Raises TextRefused: characters that may not be sent, Chinese without an agreed coding, or too
    many messages."""
    check_text(text)
    coding, codec = _choose(text, chinese)
    room = MST_OCTETS if extended else SST_OCTETS
    if len(text.encode(codec)) <= room:
        return [Data(extended, address, coding, text.encode(codec))]
    mark = len("99/99 ".encode(codec))
    parts = cut(text, room - mark, lambda c: len(c.encode(codec)))
    if len(parts) > MAX_PARTS:
        raise TextRefused(f"{len(text)} 字过长 / {len(parts)} messages, at most {MAX_PARTS}")
    marked = (f"{n}/{len(parts)} {part}" for n, part in enumerate(parts, 1))
    return [Data(extended, address, coding, one.encode(codec)) for one in marked]


def _choose(text: str, chinese: str) -> tuple[int, str]:
    try:
        text.encode("cp437")
    except UnicodeEncodeError:
        codec = _CODECS.get(chinese)
        if codec is None:
            raise TextRefused(
                "该网络只能用状态码表达中文 / Chinese needs status numbers on this network"
            ) from None
        return BINARY, codec
    return PC_8, "cp437"


def text_of(data: Data, chinese: str) -> str | None:
    """The text of a data message without the padding of the radio path; None: not a text."""
    if data.coding in (PC_8, ASCII_7):
        return data.data.rstrip(b"\x00 ").decode("cp437")
    if data.coding == BINARY and chinese == "ucs2":
        even = data.data[: len(data.data) // 2 * 2]
        return even.decode("utf_16_be", "replace").rstrip("\0 ")
    if data.coding == BINARY and chinese == "gb18030":
        return data.data.rstrip(b"\x00 ").decode("gb18030", "replace")
    return None
