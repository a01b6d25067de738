"""Templates of papers: a locality's TOML file says which rows, words and notes a paper has.

A template with a fault is refused at start, with its line and the mend. Words of the case come in
as `{name}` and are data: they are never looked at as a template again.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.documents.form import Cell, Form, Row, Slip, Tick
from bridge.documents.values import DRILL_PREFIX, NEEDED, Sheet, kind_of, marks, names, values
from bridge.domain.delivery import OrderSheet
from bridge.domain.paper import FaxReport, PaperKind
from bridge.settings.toml_lines import KeyPath, key_lines, line_of
from bridge.share import share

MAX_BYTES: Final = 64 * 1024
_HOLE: Final = re.compile(r"\{([^{}]*)\}")
_LONE: Final = re.compile(r"[{}]")

Words = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Title = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]
Pair = Annotated[tuple[Title, Words], Field(strict=False)]


class TemplateError(Exception):
    """A template cannot be used. A line for each fault: `file:line: key: zh / en`."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class _Row(_Part):
    cells: Annotated[tuple[Pair, ...], Field(strict=False, min_length=1, max_length=3)]
    lines: int = Field(default=1, ge=1, le=20)
    when: str = ""
    """A word: the row is printed only where it is not empty."""


class _Slip(_Part):
    heading: Title
    code_label: Title
    arrived: Pair
    result: Pair
    objection: Pair
    sign: Words = ""
    notes: Words = ""


class _File(_Part):
    title: Title
    issuer: Words = ""
    number: Words = ""
    rows: Annotated[tuple[_Row, ...], Field(strict=False, min_length=1, max_length=30)]
    notes: Annotated[tuple[Words, ...], Field(strict=False, max_length=10)] = ()
    signs: Annotated[tuple[Words, ...], Field(strict=False, max_length=3)] = ()
    slip: _Slip | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """One paper's template, checked."""

    kind: PaperKind
    file: _File

    def fill(self, sheet: Sheet, zone: tzinfo) -> Form:
        """The form of a sheet. Its kind must be the template's."""
        if kind_of(sheet) is not self.kind:
            raise TypeError(f"a template of {self.kind.value} cannot show {type(sheet).__name__}")
        words = values(sheet, zone)
        prefix = DRILL_PREFIX if sheet.drill else ""
        if "words" in words:
            words["words"] = prefix + words["words"]
        file = self.file
        return Form(
            title=prefix + _filled(file.title, words),
            issuer=_filled(file.issuer, words),
            number=_filled(file.number, words),
            marks=marks(sheet),
            rows=[
                Row([Cell(label, _filled(text, words)) for label, text in row.cells], row.lines)
                for row in file.rows
                if not row.when or words[row.when]
            ],
            notes=[_filled(note, words) for note in file.notes],
            signs=[_filled(sign, words) for sign in file.signs],
            slip=_slip(file.slip, sheet, words),
            picture=sheet.picture if isinstance(sheet, FaxReport) else b"",
        )


def _slip(slip: _Slip | None, sheet: Sheet, words: Mapping[str, str]) -> Slip | None:
    if slip is None or not isinstance(sheet, OrderSheet):
        return None
    pairs = {Tick.ARRIVED: slip.arrived, Tick.RESULT: slip.result, Tick.OBJECTION: slip.objection}
    return Slip(
        order=sheet.order,
        code=sheet.code,
        heading=slip.heading,
        code_label=slip.code_label,
        ticks=[(tick, word, _filled(blank, words)) for tick, (word, blank) in pairs.items()],
        sign=_filled(slip.sign, words),
        notes=_filled(slip.notes, words),
    )


def _filled(text: str, words: Mapping[str, str]) -> str:
    return _HOLE.sub(lambda hole: words[hole[1]], text)


def read_templates(directory: Path | None = None) -> dict[PaperKind, Template]:
    """The templates `<kind>.toml`: the locality's where it has one, else those that travel
    with the code. Raises TemplateError with every fault of every file."""
    shipped = share("config") / "documents"
    found: dict[PaperKind, Template] = {}
    faults: list[str] = []
    for kind in PaperKind:
        own = None if directory is None else directory / f"{kind.value}.toml"
        file = own if own is not None and own.exists() else shipped / f"{kind.value}.toml"
        try:
            found[kind] = parse(file.read_bytes(), kind, str(file))
        except OSError as error:
            faults.append(
                f"{file}: 无法读取模板,请检查权限 / cannot be read ({error.strerror}); "
                "look at its rights, or remove it to use the one that travels with the code"
            )
        except TemplateError as error:
            faults.append(str(error))
    if faults:
        raise TemplateError("\n".join(faults))
    return found


def parse(data: bytes, kind: PaperKind, name: str) -> Template:
    """A template in the bytes of a file called `name`. Raises TemplateError."""
    if len(data) > MAX_BYTES:
        raise TemplateError(f"{name}:1: 文件过大 / larger than {MAX_BYTES} bytes: no template")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TemplateError(f"{name}:{line}: 不是 UTF-8,请转换 / save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1
        raise TemplateError(f"{name}:{line}: 不是 TOML,请更正 / no TOML: {error}") from error
    lines = key_lines(text)
    faults = [*_model_faults(document), *_word_faults(document, kind)]
    if faults:
        shown = sorted((line_of(lines, path), _dotted(path), words) for path, words in faults)
        raise TemplateError(
            "\n".join(f"{name}:{line}: {key}: {words}" for line, key, words in shown)
        )
    return Template(kind, _File.model_validate(document))


def _dotted(path: KeyPath) -> str:
    return ".".join(str(part) for part in path) or "(file)"


def _model_faults(document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    try:
        _File.model_validate(document)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            path, kind = tuple(one["loc"]), one["type"]
            if kind == "extra_forbidden":
                yield path, "未知的键,请删去 / unknown key; remove it"
            elif kind == "missing":
                yield path, f"缺少 {path[-1]},请加上 / {path[-1]} is missing; add it"
            else:
                yield path, f"值无效,请更正 / {one['msg']}; correct the value"


def _word_faults(document: Mapping[str, Any], kind: PaperKind) -> Iterator[tuple[KeyPath, str]]:
    """Words that no sheet has, and words that the paper cannot be without."""
    known, used = names(kind), set[str]()
    for path, text in _texts(document, ()):
        if path[-1] == "when":
            holes = [text] if text else []
        else:
            holes = _HOLE.findall(text)
            if _LONE.search(_HOLE.sub("", text)):
                yield path, "花括号不成对,请更正 / a brace without its partner; write {name}"
        used.update(holes if path[-1] != "when" else ())
        for hole in holes:
            if hole not in known or hole == "code":
                near = difflib.get_close_matches(hole, known - {"code"}, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; there are {sorted(known)}"
                yield path, f"没有字段 {hole!r},请更正 / there is no word {hole!r}{hint}"
    for word in NEEDED[kind]:
        if word not in used:
            yield ("rows",), f"缺少 {{{word}}},请加入一行 / no row shows {{{word}}}; add one"
    if kind is PaperKind.ORDER and "slip" not in document:
        yield ("slip",), "指令单必须有回执 [slip] / an order sheet needs its [slip]; add it"
    if kind is not PaperKind.ORDER and "slip" in document:
        yield ("slip",), "只有指令单有回执,请删去 / only the order sheet has a slip; remove it"


def _texts(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, (*path, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, (*path, number))
