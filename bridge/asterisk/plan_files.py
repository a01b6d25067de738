"""Reads the files that together are a site's dialplan: extensions, features, queues, prompts."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.asterisk.conf import Conf, read_conf
from bridge.asterisk.conf_text import ConfError, Place
from bridge.asterisk.dialplan import build
from bridge.asterisk.routes import Routes, feature_targets

EXTENSIONS: Final = "extensions.conf"


@dataclass(frozen=True, slots=True)
class PlanFiles:
    """What was read."""

    routes: Routes
    files: tuple[str, ...]
    queues: Conf | None = None
    prompts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Name of a sound file below `bridge110/`, to its words in `zh` and `en`."""


def read_plan(
    paths: Sequence[Path],
    *,
    roots: Sequence[Path] = (),
    prompts: Path | None = None,
    examples: bool = False,
) -> PlanFiles:
    """Read a directory with an `extensions.conf`, a directory of plans, or single files, as one.

    `features.conf` and `queues.conf` are taken from beside `extensions.conf`. Raises ConfError.
    """
    confs: list[Conf] = []
    beside: dict[str, Conf] = {}
    for path in paths:
        for file in _entry_files(path):
            if not any(str(file) in conf.files for conf in confs):
                confs.append(read_conf(file, roots=roots, examples=examples))
            if file.name == EXTENSIONS:
                for name in ("features.conf", "queues.conf"):
                    other = file.with_name(name)
                    if other.is_file():
                        beside[name] = read_conf(other, roots=roots, examples=examples)
    whole = Conf(
        tuple(section for conf in confs for section in conf.sections),
        tuple(dict.fromkeys(name for conf in (*confs, *beside.values()) for name in conf.files)),
    )
    routes = Routes(build(whole), feature_targets(beside.get("features.conf")))
    return PlanFiles(routes, whole.files, beside.get("queues.conf"), _prompts(prompts))


def _entry_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if (path / EXTENSIONS).is_file():
        return [path / EXTENSIONS]
    found = sorted(path.glob("*.conf"))
    if not found:
        raise ConfError(Place(str(path), 1), "no *.conf here", "name the directory of the plans")
    return found


def _prompts(path: Path | None) -> dict[str, dict[str, str]]:
    """The words of `prompts.toml`; a missing or broken file costs only the words."""
    if path is None or not path.is_file():
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("prompts", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfError(Place(str(path), 1), f"not TOML: {error}", "correct the file") from error
    return {
        name: {k: v for k, v in words.items() if isinstance(v, str)}
        for name, words in found.items()
        if isinstance(words, dict)
    }
