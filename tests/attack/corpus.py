"""Reads `corpus.txt`: the hostile strings that every door and every output of the project meets."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).with_name("corpus.txt")
MARKER: Final = Path("/tmp/bridge110-attack-marker")
"""What an executed string would leave behind."""
_LINE: Final = re.compile(
    r"(?P<name>[a-z0-9-]+)\s+(?P<kind>[a-z]+)\s+(?P<value>.+?)(?: x (?P<n>\d+))?$"
)


@dataclass(frozen=True, slots=True)
class Hostile:
    """One string. `raw`: as a network sends it; `text`: as a program holds it."""

    name: str
    kind: str
    text: str
    raw: bytes

    @property
    def breaks_lines(self) -> bool:
        """Holds what ends a line, or a string, on some wire."""
        return any(character in self.text for character in "\r\n\0")

    def __repr__(self) -> str:
        return f"<{self.name} {self.raw[:60]!r}>"


def load(path: Path = CORPUS) -> list[Hostile]:
    """All of them. Raises ValueError naming the line that is not of this form."""
    found: list[Hostile] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{path.name}:{number}: name, kind, literal, not {line[:60]!r}")
        value = ast.literal_eval(match["value"])
        times = int(match["n"] or 1)
        if isinstance(value, bytes):
            raw = value * times
            text = raw.decode("utf-8", "surrogateescape")
        else:
            text = str(value) * times
            raw = text.encode("utf-8", "surrogatepass")
        found.append(Hostile(match["name"], match["kind"], text, raw))
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        raise ValueError(f"{path.name}: a name stands for two strings")
    return found


STRINGS: Final = tuple(load())
TOLL: Final = tuple(one for one in STRINGS if one.kind == "toll")
