"""Reads the settings file; everything wrong in it is named at once, each with its line and mend."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from bridge.settings.checks import Fault, faults, missing_paths
from bridge.settings.model import Settings, SettingsError
from bridge.settings.toml_lines import KeyPath, key_lines, line_of

M = TypeVar("M", bound=BaseModel)

MAX_BYTES: Final = 1024 * 1024


def load(path: Path, *, look_at_disk: bool = True) -> Settings:
    """The settings in `path`.

    `look_at_disk=False` leaves out whether the named directories are there. Raises SettingsError:
    one line a fault, `file:line: key: zh / en`, in the order of the file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"{path}: 无法读取配置,请用 --config 指定 / cannot be read ({error.strerror}); "
            "name the file with --config"
        ) from error
    return parse(data, str(path), look_at_disk=look_at_disk)


def parse(data: bytes, name: str, *, look_at_disk: bool = False) -> Settings:
    """The settings in the bytes of a file called `name`. Raises as `load`."""
    settings, lines = read_model(Settings, data, name)
    found = list(faults(settings))
    if look_at_disk:
        found += missing_paths(settings)
    if found:
        raise refusal(name, lines, found)
    return settings


def read_model(model: type[M], data: bytes, name: str) -> tuple[M, dict[KeyPath, int]]:
    """A TOML file as that model, and the line of each key. Raises as `load`."""
    document, lines = _document(data, name)
    try:
        return model.model_validate(document), lines
    except ValidationError as error:
        raise refusal(name, lines, _complaints(error, model)) from error


def _document(data: bytes, name: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    if len(data) > MAX_BYTES:
        raise SettingsError(
            f"{name}: 文件过大 / larger than {MAX_BYTES} bytes: not a settings file"
        )
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            f"{name}:{line}: 不是 UTF-8,请转换,例如 / not UTF-8; save it so, for example: "
            "iconv -f GB18030 -t UTF-8"
        ) from error
    try:
        return tomllib.loads(text), key_lines(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"{name}:{_toml_line(error, text)}: 不是 TOML / no TOML: {error}"
        ) from error


def _toml_line(error: tomllib.TOMLDecodeError, text: str) -> int:
    """tomllib says `(at line 3, column 7)` or `(at end of document)`."""
    words = str(error).replace(",", " ").split()
    if "line" in words and words[words.index("line") + 1].isdigit():
        return int(words[words.index("line") + 1])
    return text.rstrip("\n").count("\n") + 1


def refusal(name: str, lines: Mapping[KeyPath, int], found: Sequence[Fault]) -> SettingsError:
    """All faults of a file, each with its line and mend."""
    shown = sorted(
        ((line_of(lines, fault.path), _dotted(fault), fault) for fault in found),
        key=lambda item: item[:2],
    )
    return SettingsError(
        "\n".join(f"{name}:{line}: {key}: {fault.zh} / {fault.en}" for line, key, fault in shown)
    )


def _dotted(fault: Fault) -> str:
    return ".".join(str(part) for part in fault.path) or "(file)"


def _complaints(error: ValidationError, root: type[BaseModel]) -> list[Fault]:
    """All of pydantic's, but that a key is missing which only has a slip of the pen in its name."""
    errors = error.errors(include_url=False, include_input=False)
    unknown = [one["loc"] for one in errors if one["type"] == "extra_forbidden"]
    meant = {(*loc[:-1], _nearest(loc, root)) for loc in unknown}
    return [
        _fault(one, root) for one in errors if one["type"] != "missing" or one["loc"] not in meant
    ]


def _fault(error: Mapping[str, Any], root: type[BaseModel]) -> Fault:
    """One complaint of pydantic in the words of this project."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    kind, context = str(error["type"]), error.get("ctx", {})
    if kind == "extra_forbidden":
        near = _nearest(path, root)
        hint_zh = f",是不是 {near}?" if near else ",请删去"
        hint_en = f"; did you mean {near}?" if near else "; remove it"
        return Fault(path, f"未知的键{hint_zh}", f"unknown key{hint_en}")
    if kind == "missing":
        what = path[-1]
        return Fault(path, f"缺少 {what},请加上", f"{what} is missing; add it (see bridge.toml)")
    if kind == "value_error":
        zh, _, en = str(context["error"]).partition(" / ")
        return Fault(path, zh, en)
    if kind == "string_pattern_mismatch":
        return Fault(path, "格式不对", f"must have the form {context['pattern']}")
    if kind == "literal_error":
        return Fault(path, f"应为 {context['expected']}", f"must be {context['expected']}")
    return Fault(path, "值无效", f"{error['msg']}; correct the value")


def _nearest(path: KeyPath, root: type[BaseModel]) -> str | None:
    """The known key beside an unknown one that looks like it."""
    model: Any = root
    for part in path[:-1]:
        model = _inner(model, str(part))
    names = list(model.model_fields) if _is_model(model) else []
    found = difflib.get_close_matches(str(path[-1]), names, n=1)
    return found[0] if found else None


def _inner(model: Any, name: str) -> Any:
    """The model of a key: a section, or an entry of a table of sections."""
    if not _is_model(model):
        return model if not get_args(model) else get_args(model)[-1]
    field = model.model_fields.get(name)
    return field.annotation if field is not None else None


def _is_model(model: Any) -> bool:
    return isinstance(model, type) and issubclass(model, BaseModel)
