"""What text may go out over a radio or SMS, and what counts as text when it comes in. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

_SHOWN_CONTROLS: Final = frozenset("\n")


class TextRefused(ValueError):
    """The text cannot be sent; the words name the character. Nothing was sent."""


def check_text(text: str) -> None:
    """Refuse control characters, lone surrogates and what turns the reading direction (guard
    rules 18 and 22). Raises TextRefused."""
    for at, character in enumerate(text):
        if not _sendable(character):
            raise TextRefused(
                f"第 {at + 1} 个字符 U+{ord(character):04X} 不能发送 / "
                f"character {at + 1} cannot be sent"
            )


def _sendable(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp") and not (
        "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069"
    )


def clean_incoming(text: str) -> str | None:
    """Received text as it may be shown: padding at the end cut, line ends as LF. None: it holds
    control characters and is no text."""
    trimmed = text.rstrip("\0 ").replace("\r\n", "\n").replace("\r", "\n")
    if all(c in _SHOWN_CONTROLS or _sendable(c) for c in trimmed):
        return trimmed
    return None


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
