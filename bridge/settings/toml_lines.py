"""Where each key of a TOML text stands. Pure.

`tomllib` reads the values and forgets the lines; an error that names no line costs an engineer an
hour. This scanner is given only what `tomllib` has accepted, so it need not judge anything.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

KeyPath = tuple[str | int, ...]
"""`("desks", "12345", "dial")`; items of arrays by their number from 0."""

_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\n\[\]{},=.]"
    r"|[^\s\[\]{},=.#\"']+",
    re.DOTALL,
)


def key_lines(text: str) -> dict[KeyPath, int]:
    """Line (from 1) of every table header, key and array item of a valid TOML `text`."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """Line of `path`, or of the nearest thing around it that stands in the text; else 1."""
    for end in range(len(path), 0, -1):
        if (found := lines.get(path[:end])) is not None:
            return found
    return 1


@dataclass(slots=True)
class _Scanner:
    """Walks over the words once; `at` is the next one."""

    text: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    words: list[tuple[str, int]] = field(init=False)
    at: int = 0
    counts: dict[KeyPath, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.words = []
        line, done = 1, 0
        for match in _TOKEN.finditer(self.text):
            line += self.text.count("\n", done, match.start())
            done = match.start()
            if not match[0].startswith("#"):
                self.words.append((match[0], line))

    def document(self) -> None:
        table: KeyPath = ()
        while (word := self._peek()) is not None:
            if word == "\n":
                self.at += 1
            elif word == "[":
                table = self._header()
            else:
                self._pair(table)

    def _peek(self) -> str | None:
        return self.words[self.at][0] if self.at < len(self.words) else None

    def _mark(self, path: KeyPath) -> None:
        line = self.words[min(self.at, len(self.words) - 1)][1]
        for end in range(1, len(path) + 1):
            self.lines.setdefault(path[:end], line)

    def _skip(self, *which: str) -> None:
        while self._peek() in which:
            self.at += 1

    def _header(self) -> KeyPath:
        """`[a.b]` or `[[a.b]]`; a table inside an array of tables belongs to its last item."""
        begun = self.at
        self._skip("[")
        is_item = self.at - begun == 2
        path: KeyPath = ()
        names = self._key("]")
        for name in names:
            path = (*path, name)
            if path in self.counts and (len(names) != len(path) or not is_item):
                path = (*path, self.counts[path])
        if is_item:
            self.counts[path] = self.counts.get(path, -1) + 1
            path = (*path, self.counts[path])
        self.at, end = begun, self.at
        self._mark(path)
        self.at = end
        self._skip("]")
        return path

    def _key(self, end: str) -> KeyPath:
        names: list[str] = []
        while (word := self._peek()) not in (end, None):
            assert word is not None
            if word not in (".", "\n"):
                names.append(_plain(word))
            self.at += 1
        return tuple(names)

    def _pair(self, table: KeyPath) -> None:
        begun = self.at
        path = (*table, *self._key("="))
        self.at, end = begun, self.at
        self._mark(path)
        self.at = end + 1
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        word = self._peek()
        if word == "[":
            self.at += 1
            self._items(path)
        elif word == "{":
            self.at += 1
            self._skip("\n", ",")
            while self._peek() not in ("}", None):
                self._pair(path)
                self._skip("\n", ",")
            self.at += 1
        else:
            while self._peek() not in ("\n", ",", "]", "}", None):
                self.at += 1

    def _items(self, path: KeyPath) -> None:
        number = 0
        self._skip("\n", ",")
        while self._peek() not in ("]", None):
            self._mark((*path, number))
            self._value((*path, number))
            number += 1
            self._skip("\n", ",")
        self.at += 1


def _plain(word: str) -> str:
    """A key without its quotes."""
    if word[0] not in "\"'":
        return word
    return str(tomllib.loads(f"k = {word}")["k"])
