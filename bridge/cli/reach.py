"""Options of commands that ask the running daemon: where it is, and with which token."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.daemon import ask, fetch, read_token
from bridge.cli.output import CommandError, settings_of

COMMAND_SECONDS = 20.0
"""A command waits for its commit."""

Url = Annotated[
    str | None,
    typer.Option(envvar="BRIDGE110_URL", help="守护进程地址,缺省见配置 / the daemon"),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(envvar="BRIDGE110_TOKEN_FILE", help="令牌文件 / file of the token"),
]


def asked(
    url: str | None,
    token_file: Path | None,
    config: Path,
    path: str,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
    timeout: float = COMMAND_SECONDS,
) -> dict[str, Any]:
    """The daemon's answer. Raises CommandError: no token, no daemon, refused."""
    where, token = _reached(url, token_file, config)
    return ask(where, f"/api/v1/{path}", token, method, body, timeout)


def fetched(url: str | None, token_file: Path | None, config: Path, path: str) -> bytes:
    """A file of the daemon. Raises CommandError: no token, no daemon, refused."""
    where, token = _reached(url, token_file, config)
    return fetch(where, f"/api/v1/{path}", token, COMMAND_SECONDS)


def _reached(url: str | None, token_file: Path | None, config: Path) -> tuple[str, str]:
    if token_file is None:
        raise CommandError(
            "需要令牌:--token-file 或 BRIDGE110_TOKEN_FILE / a token is needed: make one with "
            "bridge110 token new and name its file with --token-file"
        )
    if url is None:
        http = settings_of(config).http
        url = f"http://{http.host}:{http.port}"
    return url, read_token(token_file)
