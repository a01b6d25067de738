"""Asterisk's `.conf` files as sections and items, each with its file and line.

On pyst2's `asterisk.config.Config`, with everything that reader lacks done before and after it
(libraries sheet, section 3, C1): includes, templates, block comments, `\\;`, `+=`, encodings.
"""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from asterisk.config import Category, Config, Item, ParseError

from bridge.asterisk.conf_text import ESCAPED, MAX_FILE_BYTES, ConfError, Place, text_lines

MAX_DEPTH: Final = 10
"""`MAX_INCLUDE_LEVEL` of main/config.c."""
MAX_LINES: Final = 50_000

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*(.*)")
_HEADER = re.compile(r"(\[[^\]]*\])\s*\(([^)]*)\)\s*(;.*)?")


@dataclass(frozen=True, slots=True)
class Setting:
    """One `name = value` or `name => value`."""

    name: str
    value: str
    place: Place


@dataclass(frozen=True, slots=True)
class Section:
    """One `[name]` with what it holds; what a template gave stands first."""

    name: str
    place: Place
    items: tuple[Setting, ...] = ()
    comment: tuple[str, ...] = ()
    """The comment lines directly above and below the header, without their semicolons."""
    template: bool = False

    def get(self, name: str, default: str = "") -> str:
        """The last value of `name`, as Asterisk takes it."""
        return next((i.value for i in reversed(self.items) if i.name == name), default)


@dataclass(frozen=True, slots=True)
class Conf:
    """One file with all that it includes."""

    sections: tuple[Section, ...]
    files: tuple[str, ...]
    """Every file that was read, in order."""

    def section(self, name: str) -> Section | None:
        """The last section of this name that is no template."""
        found = [s for s in self.sections if s.name == name and not s.template]
        return found[-1] if found else None


def read_conf(path: Path, *, roots: Sequence[Path] = (), examples: bool = False) -> Conf:
    """Read `path` and its includes.

    An included name is looked for beside the including file, then below each of `roots`. With
    `examples`, what a site has not written yet (`site/x.conf`) is read from `site.example/x.conf`.
    Raises ConfError with file, line and mend.
    """
    config = _Guarded(path, tuple(roots), examples)
    return Conf(_sections(config), tuple(dict.fromkeys(config.files)))


@dataclass(slots=True)
class _Origin:
    """A line as pyst2 sees it, where it came from, and the `(…)` that stood after its header."""

    text: str
    place: Place
    options: tuple[str, ...] = ()


class _Guarded(Config):  # type: ignore[misc]  # pyst2 is untyped
    """pyst2's reader, fed with lines that it can read."""

    def __init__(self, path: Path, roots: tuple[Path, ...], examples: bool) -> None:
        self._roots = roots
        self._examples = examples
        self.origins: list[_Origin] = []
        self.files: list[str] = []
        super().__init__(path)

    def load(self) -> None:
        start = Place(str(self.filename), 1)
        lines = self._expand(Path(self.filename), start, ())
        self.origins = list(itertools.islice(lines, MAX_LINES + 1))
        if len(self.origins) > MAX_LINES:
            raise ConfError(start, f"over {MAX_LINES} lines with all includes", "split it")
        self.raw_lines = [origin.text for origin in self.origins]

    def parse(self) -> None:
        try:
            super().parse()
        except ParseError as error:
            number, message = error.args
            raise ConfError(
                self.origins[number - 1].place, message, "write [section] or name = value"
            ) from error

    def _expand(self, path: Path, asked: Place, above: tuple[Path, ...]) -> Iterator[_Origin]:
        real = path.resolve()
        if real in above:
            raise ConfError(asked, f"{path} includes itself", "remove this #include")
        if len(above) >= MAX_DEPTH:
            raise ConfError(asked, f"includes nest deeper than {MAX_DEPTH}", "flatten them")
        self.files.append(str(path))
        for number, text in enumerate(text_lines(_read(path, asked), str(path)), 1):
            place = Place(str(path), number)
            line = text.strip()
            if line.startswith("#"):
                for included in self._included(line, path, place):
                    yield from self._expand(included, place, (*above, real))
                continue
            header = _HEADER.fullmatch(line)
            if header is None:
                yield _Origin(line, place)
            else:
                options = tuple(option.strip() for option in header[2].split(","))
                yield _Origin(f"{header[1]} {header[3] or ''}".strip(), place, options)

    def _included(self, line: str, path: Path, place: Place) -> list[Path]:
        directive = _DIRECTIVE.fullmatch(line)
        kind = directive[1] if directive else ""
        if directive is None or kind not in ("include", "tryinclude"):
            raise ConfError(place, f"directive {line[:40]!r}", "only #include and #tryinclude")
        name = directive[2].split(";")[0].strip().strip('"').strip("<>").strip()
        if not name:
            raise ConfError(place, "#include without a file", 'write #include "name.conf"')
        found = self._find(name, path)
        if not found and kind == "include" and not glob.has_magic(name):
            raise ConfError(place, f"no file {name!r}", "write it, or use #tryinclude")
        return found

    def _find(self, name: str, path: Path) -> list[Path]:
        first, _, rest = name.partition("/")
        names = [name, f"{first}.example/{rest}"] if self._examples and rest else [name]
        for wanted in names:
            for base in (path.parent, *self._roots):
                # base / name is name itself when the name is absolute
                found = sorted(p for p in glob.glob(str(base / wanted)) if Path(p).is_file())
                if found:
                    return [Path(p) for p in found]
        return []


def _read(path: Path, asked: Place) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfError(asked, f"{path}: {error.strerror}", "check its name and rights") from error


@dataclass(slots=True)
class _Draft:
    name: str
    place: Place
    template: bool
    items: list[Setting] = field(default_factory=list)
    comment: list[str] = field(default_factory=list)

    def add(self, setting: Setting) -> None:
        """Append, or join to the last value of the name when written with `+=`."""
        if not setting.name.endswith("+"):
            self.items.append(setting)
            return
        name = setting.name[:-1].rstrip()
        for index in range(len(self.items) - 1, -1, -1):
            if self.items[index].name == name:
                value = self.items[index].value + setting.value
                self.items[index] = Setting(name, value, setting.place)
                return
        self.items.append(Setting(name, setting.value, setting.place))


def _sections(config: _Guarded) -> tuple[Section, ...]:
    """pyst2's lines, in order, with templates applied and comments kept by their header."""
    drafts: list[_Draft] = []
    pending: list[str] = []  # comment lines whose section is not known yet
    current: _Draft | None = None
    below_header = False
    for line, origin in zip(config.lines, config.origins, strict=True):
        if isinstance(line, Category):
            current = _open(_plain(line.name).strip(), origin, drafts)
            current.comment += [*pending, *([_plain(line.comment)] if line.comment else [])]
            pending, below_header = [], True
            continue
        if not isinstance(line, Item) and origin.text:
            pending.append(_plain(line.comment))
            continue
        if current is not None and below_header:
            current.comment += pending
        pending, below_header = [], False
        if isinstance(line, Item):
            if current is None:
                raise ConfError(origin.place, "setting before any [section]", "add a [section]")
            name, value = _plain(line.name).strip(), _plain(line.value).strip()
            current.add(Setting(name, value, origin.place))
    if current is not None and below_header:
        current.comment += pending
    return tuple(
        Section(d.name, d.place, tuple(d.items), tuple(c.strip() for c in d.comment), d.template)
        for d in drafts
    )


def _open(name: str, origin: _Origin, drafts: list[_Draft]) -> _Draft:
    """The draft that a header begins, or goes on with (`[x](+)`)."""
    if not name:
        raise ConfError(origin.place, "section without a name", "write [name]")
    known = {draft.name: draft for draft in drafts}
    if any(option.startswith("+") for option in origin.options):
        if name not in known:
            raise ConfError(origin.place, f"[{name}](+): no [{name}] above", "remove the (+)")
        return known[name]
    draft = _Draft(name, origin.place, "!" in origin.options)
    for option in origin.options:
        if option in ("!", ""):
            continue
        if option not in known:
            raise ConfError(origin.place, f"no template [{option}] above", "define it first")
        draft.items += known[option].items
    drafts.append(draft)
    return draft


def _plain(text: str) -> str:
    return text.replace(ESCAPED, ";")
