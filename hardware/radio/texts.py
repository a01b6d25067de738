"""What text may go out over a radio or SMS, and what counts as text when it comes in. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_NEVER: Final = r"\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters but for LF, line and paragraph separators, what turns the reading direction,
and lone surrogates, which are half a character."""
_UNSENDABLE: Final = re.compile(rf"[\x00-\x0a{_NEVER}]")
_NOT_SHOWN: Final = re.compile(rf"[\x00-\x09{_NEVER}]")


class TextRefused(ValueError):
    """The text cannot be sent; the words name the character. Nothing was sent."""


def check_text(text: str) -> None:
    """Refuse control characters, lone surrogates and what turns the reading direction (guard
    rules 18 and 22). Raises TextRefused."""
    found = _UNSENDABLE.search(text)
    if found is not None:
        raise TextRefused(
            f"第 {found.start() + 1} 个字符 U+{ord(found[0]):04X} 不能发送 / "
            f"character {found.start() + 1} cannot be sent"
        )


def clean_incoming(text: str) -> str | None:
    """Received text as it may be shown: padding at the end cut, line ends as LF. None: it holds
    control characters and is no text."""
    trimmed = text.rstrip("\0 ").replace("\r\n", "\n").replace("\r", "\n")
    return trimmed if _NOT_SHOWN.search(trimmed) is None else None


def cut(text: str, room: int, cost: Callable[[str], int]) -> list[str]:
    """`text` in pieces whose characters cost at most `room` each; no character is ever divided.

    An empty text is one empty piece. Raises TextRefused when a character alone does not fit.
    """
    pieces: list[str] = []
    start, spent = 0, 0
    for at, character in enumerate(text):
        price = cost(character)
        if price > room:
            raise TextRefused(f"U+{ord(character):04X} 放不下 / does not fit into {room} octets")
        if spent + price > room:
            pieces.append(text[start:at])
            start, spent = at, 0
        spent += price
    pieces.append(text[start:])
    return pieces
