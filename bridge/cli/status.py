"""`bridge110 status`: how the running daemon is, and what is going on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from bridge.cli.case_words import state_words
from bridge.cli.daemon import ask, read_token
from bridge.cli.output import AsJson, CommandError, Config, emit, settings_of, shown
from bridge.cli.reach import TokenFile, Url
from bridge.settings.model import DEFAULT_CONFIG


def status(
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """守护进程的现状 / the daemon's health, its calls and seats."""
    if url is None:
        http = settings_of(config).http
        url = f"http://{http.host}:{http.port}"
    token = read_token(token_file) if token_file else None
    health = ask(url, "/api/v1/health", token)
    snapshot = ask(url, "/api/v1/snapshot", token) if token else {}
    words = [*_lines(health), *_snapshot(snapshot)]
    if not token:
        words.append("通话与坐席需要令牌 / calls and seats need --token-file")
    emit(as_json, {"health": health, "snapshot": snapshot}, "\n".join(words))
    if health.get("status", "ok") not in ("ok", "up"):
        raise CommandError(f"{url}: 运行不正常 / not well: {shown(health.get('status'))}")


def _lines(part: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """A document of any depth as lines `name: value`."""
    for name, value in part.items():
        where = f"{above}{shown(name)}"
        if isinstance(value, dict):
            yield from _lines(value, f"{where}.")
        else:
            yield f"{where}: {shown(value)}"


def _snapshot(snapshot: Mapping[str, Any]) -> Iterator[str]:
    for name, zh in (("calls", "通话"), ("seats", "坐席")):
        found = snapshot.get(name)
        if isinstance(found, list):
            states = Counter(str(one.get("state", "-")) for one in found if isinstance(one, dict))
            shares = ", ".join(f"{state_words(s)} {n}" for s, n in sorted(states.items()))
            yield f"{zh} / {name}: {len(found)}" + (f" ({shares})" if shares else "")
