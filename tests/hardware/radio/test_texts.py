"""What may go out as text and what may be shown, character by character of all there are."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from hardware.radio.texts import TextRefused, check_text, clean_incoming

TURNS: str = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
NEVER: tuple[str, ...] = ("Cc", "Cs", "Zl", "Zp")


def test_every_character_is_refused_or_sent_as_its_category_says() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        bad = unicodedata.category(character) in NEVER or character in TURNS
        shown = clean_incoming(f"a{character}b")
        expected = {"\r": "a\nb", "\n": "a\nb"}.get(character, None if bad else f"a{character}b")
        assert shown == expected, hex(code)
        if bad:
            with pytest.raises(TextRefused, match=f"第 2 个字符 U\\+{code:04X}"):
                check_text(f"a{character}b")
        else:
            check_text(f"a{character}b")
