"""Quirks of terminals as data: one TOML file a model under `models/`. A new model is a new file."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, TypeVar

T = TypeVar("T")

MODELS: Final = files("hardware.radio") / "models"


class DialectError(ValueError):
    """There is no such model, or its file has an unknown key or a value of another kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeiDialect:
    """A TETRA terminal's PEI. Times are seconds.

    `init` is sent after each opening and restart, each command answered before the next; errors
    38 (registered already) and, for commands in `optional`, any error are taken as done.
    `reports_by` says who sends received-reports for incoming texts: te (we) or mt.
    `set_service`: AT+CTSDS goes before a message of another kind than the last.
    `boot` are beginnings of lines that a terminal says when it starts.
    """

    words: str
    rate: int = 38400
    rtscts: bool = False
    end: str = "\r\n"
    gap_s: float = 0.0
    answer_s: float = 3.0
    probe_s: float = 10.0
    max_bits: int = 668
    sent_wait_s: float = 6.0
    init: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    set_service: bool = True
    standard_reports: bool = True
    reports_by: str = "te"
    repeat_window_s: float = 60.0
    echo_stays: bool = False
    boot: tuple[str, ...] = ()
    call_parameters: str = "0,0,0,1,1,0,1,1,0,0,0"
    private_parameters: str = "0,0,0,0,0,0,0,1,0,0,0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Map27Dialect:
    """A MAP27 radio unit. `n1` is the largest packet we offer: 16·(n1+1) octets."""

    words: str
    rate: int = 9600
    n1: int = 10
    k: int = 1
    latency_s: float = 0.2
    answer_s: float = 60.0
    tolerate_bad_c4: bool = False
    chinese: str = "gb18030"
    """gb18030 or ucs2 in binary data where the far end has a terminal for it, none where not."""
    extended: bool = True


def load(name: str, kind: type[T], text: str | None = None) -> T:
    """The dialect `name` (or the TOML `text` of a site's own file). Raises DialectError."""
    if text is None:
        known = sorted(entry.name.removesuffix(".toml") for entry in MODELS.iterdir())
        if name not in known:
            raise DialectError(f"{name!r}: 未知型号 / unknown model, there are {', '.join(known)}")
        text = (MODELS / f"{name}.toml").read_text(encoding="utf-8")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DialectError(f"{name}: {error}") from error
    return _build(name, kind, values)


def _build(name: str, kind: type[T], values: Mapping[str, Any]) -> T:
    wanted = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for key, value in values.items():
        if key not in wanted:
            raise DialectError(f"{name}: 未知键 / unknown key {key!r}")
        default = wanted[key].default
        if isinstance(value, list):
            value = tuple(value)
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if default is not dataclasses.MISSING and type(value) is not type(default):
            raise DialectError(f"{name}: {key} 类型错误 / must be {type(default).__name__}")
        given[key] = value
    if "words" not in given:
        raise DialectError(f"{name}: 缺少 words / words are missing")
    return kind(**given)
