"""What outputs have in common: when text is safe to look at, and what an attack leaves behind."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tests.attack.corpus import MARKER

NUMBER: Final = re.compile(r"[0-9+]{0,32}\Z", re.ASCII)
_KINDS: Final = re.compile(r"[a-z]+\.[A-Za-z_]+\Z")


def is_plain(text: str) -> bool:
    """No control, direction or unprintable character, but line ends."""
    return all(character == "\n" or character.isprintable() for character in text)


def said_plainly(error: Exception, about: object) -> None:
    """A refusal can be shown and logged as it is."""
    assert is_plain(str(error)), (about, str(error))


def nothing_was_run() -> None:
    """No string has been executed by a shell."""
    assert not MARKER.exists(), f"{MARKER}: a string was executed"


def log_is_whole(text: str) -> None:
    """Every line is one JSON object with an event of ours: no line was forged or broken."""
    for line in text.splitlines():
        found = json.loads(line)
        assert "forged" not in str(found.get("event")), line
        assert found.get("level") in ("debug", "info", "warning", "error"), line


def journal_is_whole(facts: list[Any]) -> None:
    """Facts of our own kinds, numbers that are numbers, ids that are ids."""
    for fact in facts:
        assert _KINDS.match(fact.kind), fact
        number = fact.data.get("number")
        assert number is None or NUMBER.match(str(number)), fact
        for ident in (fact.case, fact.call):
            assert ident is None or re.fullmatch(r"[A-Za-z0-9._-]{1,64}", ident), fact
