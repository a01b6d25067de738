"""Dialplan text: its arguments, its `${variables}` and `$[expressions]`. Pure.

Only as much of Asterisk's substitution as is needed to say which value ends up where; nothing is
evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

EXPRESSION: Final = "$["
"""The mark, in `Reference.around`, for being inside `$[ … ]`."""
MAX_NESTING: Final = 40

_OPEN: Final = {"(": ")", "[": "]", "{": "}"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_GLOBAL = re.compile(r"\$\{(?:GLOBAL\((\w+)\)|(\w+))\}")


@dataclass(frozen=True, slots=True)
class Reference:
    """One `${NAME}` or `${NAME(argument)}`."""

    name: str
    argument: str
    around: tuple[str, ...] = ()
    """Names of the functions it is an argument of, and EXPRESSION, from the outside inwards."""

    def __str__(self) -> str:
        return f"${{{self.name}({self.argument})}}" if self.argument else f"${{{self.name}}}"


def references(text: str) -> Iterator[Reference]:
    """Every variable and function that `text` reads, the inner ones too."""
    yield from _scan(text, (), 0)


def _scan(text: str, around: tuple[str, ...], depth: int) -> Iterator[Reference]:
    if depth > MAX_NESTING:
        return
    at = 0
    while (at := text.find("$", at)) >= 0:
        opening = text[at + 1 : at + 2]
        if opening not in ("{", "["):
            at += 1
            continue
        end = matching(text, at + 1)
        inside = text[at + 2 : end]
        if opening == "[":
            yield from _scan(inside, (*around, EXPRESSION), depth + 1)
        else:
            yield from _reference(inside, around, depth)
        at = end + 1


def _reference(inside: str, around: tuple[str, ...], depth: int) -> Iterator[Reference]:
    match = _NAME.match(inside)
    name = match.group() if match else ""
    rest = inside[len(name) :]
    if name and rest.startswith("("):
        argument = rest[1 : matching(rest, 0)]
        yield Reference(name, argument, around)
        yield from _scan(argument, (*around, name), depth + 1)
    else:  # ${NAME}, ${NAME:1:3}, ${${X}} or a name put together of several
        if name:
            yield Reference(name, "", around)
        yield from _scan(rest, around, depth + 1)


def matching(text: str, at: int) -> int:
    """Where the bracket that opens at `at` is closed; the end of the text when it never is."""
    opening = text[at]
    closing = _OPEN[opening]
    depth = 0
    for index in range(at, len(text)):
        if text[index] == opening:
            depth += 1
        elif text[index] == closing:
            depth -= 1
            if depth == 0:
                return index
    return len(text)


def balanced(text: str) -> bool:
    """Whether every `(`, `${` and `$[` of `text` is closed."""
    stack: list[str] = []
    for index, sign in enumerate(text):
        before = text[index - 1] if index else ""
        if before == "\\":
            continue
        if sign == "(" or (sign in "{[" and before in "$#"):
            stack.append(_OPEN[sign])
        elif stack and sign == stack[-1]:
            stack.pop()
        elif sign == ")":
            return False
    return not stack


def split(text: str, separator: str = ",", limit: int = -1) -> list[str]:
    """Cut at `separator` where it stands outside brackets and quotes, each part stripped.

    `limit` is the number of cuts at most; -1 for all.
    """
    parts: list[str] = []
    closers: list[str] = []
    start, quoted = 0, False
    for index, sign in enumerate(text):
        if index and text[index - 1] == "\\":
            continue
        if sign == '"' and not closers:
            quoted = not quoted
        elif quoted:
            continue
        elif closers and sign == closers[-1]:
            closers.pop()
        elif sign in _OPEN:
            closers.append(_OPEN[sign])
        elif sign == separator and not closers and limit != 0:
            parts.append(text[start:index].strip())
            start = index + 1
            limit -= 1
    parts.append(text[start:].strip())
    return parts


def with_globals(text: str, values: Mapping[str, str]) -> str:
    """`text` with the `${NAME}` that are known in `values` filled in, also within one another."""
    for _ in range(5):
        filled = _GLOBAL.sub(lambda m: values.get(m[1] or m[2], m[0]), text)
        if filled == text or len(filled) > 10_000:
            break
        text = filled
    return text
