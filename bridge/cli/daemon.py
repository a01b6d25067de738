"""Asks the running daemon over its own interface."""

from __future__ import annotations

import http.client
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bridge.cli.output import CommandError, shown

ANSWER_S: Final = 3.0
MAX_BYTES: Final = 8 * 1024 * 1024

_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""The daemon is near: a proxy of the environment would be given the token."""


def read_token(path: Path) -> str:
    """The token in a file: one line of ASCII. Raises CommandError."""
    try:
        word = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: 无法读取令牌 / cannot read the token: {error}") from error
    if not word.isascii() or not word.isprintable() or not word:
        raise CommandError(f"{path}: 应为一行 ASCII 令牌 / one line of ASCII is expected")
    return word


def ask(
    url: str,
    path: str,
    token: str | None,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
    timeout: float = ANSWER_S,
) -> dict[str, Any]:
    """Ask the daemon at `url`; any method but GET is a command with a key of its own.

    Raises CommandError with the mend, for a refusal in the daemon's own words.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data: bytes | None = None
    if method != "GET":
        headers["Idempotency-Key"] = secrets.token_hex(16)
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body, ensure_ascii=False).encode()
    request = urllib.request.Request(  # noqa: S310  the scheme is looked at above
        f"{_checked(url)}{path}", data=data, headers=headers, method=method
    )
    data = _opened(url, path, request, timeout)
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise CommandError(f"{url}{path}: 答复不是 JSON 对象 / the answer is no JSON object")
    return document


def fetch(url: str, path: str, token: str, timeout: float = ANSWER_S) -> bytes:
    """A file of the daemon. Raises CommandError."""
    headers = {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{_checked(url)}{path}", headers=headers)  # noqa: S310
    return _opened(url, path, request, timeout)


def _checked(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise CommandError(f"{url!r}: 不是网址 / is no http address; give --url http://host:port")
    return url.rstrip("/")


def _opened(url: str, path: str, request: urllib.request.Request, timeout: float) -> bytes:
    try:
        with _DIRECT.open(request, timeout=timeout) as answer:
            data: bytes = answer.read(MAX_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise CommandError(_refusal(url, path, error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(
            f"{url}: 守护进程没有答复,请查看 systemctl status bridge110 / the daemon does not "
            f"answer ({error}); see systemctl status bridge110"
        ) from error
    if len(data) > MAX_BYTES:
        raise CommandError(f"{url}{path}: 答复过大 / the answer is larger than {MAX_BYTES} octets")
    return data


def _refusal(url: str, path: str, error: urllib.error.HTTPError) -> str:
    problem = _problem(error)
    if problem and error.code != 401:
        words = " / ".join(shown(problem.get(name)) for name in ("title", "detail"))
        state = f" ({shown(problem['state'])})" if problem.get("state") else ""
        places = "; ".join(
            f"{shown(one.get('place'))}: {shown(one.get('words'))}"
            for one in problem.get("errors", ())
            if isinstance(one, dict)
        )
        return f"{shown(problem.get('code'))}: {words}{state}" + (f"; {places}" if places else "")
    if error.code in (401, 403):
        return (
            f"{url}{path}: 令牌无效或无权({error.code}),请用 --token-file / the token is not "
            "accepted; make one with bridge110 token new and name it with --token-file"
        )
    return f"{url}{path}: {error.code} {shown(error.reason)}"


def _problem(error: urllib.error.HTTPError) -> dict[str, Any]:
    """The problem document of a refusal; empty where it has none."""
    try:
        found = json.loads(error.read(MAX_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and "code" in found else {}
