"""`bridge110 dialplan lint` and `bridge110 dialplan explain`: for the people who edit the plans.

Exit status: 0 done and nothing wrong, 1 findings or no answer, 2 wrong use or an unreadable file.
"""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Annotated, Final

import typer

from bridge.asterisk.conf_text import ConfError
from bridge.asterisk.explain import ENTRY, explain, render
from bridge.asterisk.lint import Finding
from bridge.asterisk.lint import lint as find
from bridge.asterisk.plan_files import PlanFiles, read_plan
from bridge.cli.output import json_text, shown_lines
from bridge.share import share

app = typer.Typer(help="检查与解释拨号方案 / check and explain the dialplans", no_args_is_help=True)

DAEMON_S: Final = 3.0
MAX_SNAPSHOT_BYTES: Final = 8 * 1024 * 1024

Paths = Annotated[
    list[Path] | None,
    typer.Argument(
        help="目录或 .conf 文件,缺省为本系统自带 / directories or files; default: those shipped"
    ),
]
Root = Annotated[
    list[Path] | None,
    typer.Option("--root", help="#include 的查找目录 / where included names are looked for"),
]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


class NoAnswer(Exception):
    """The daemon could not be asked; the text says why, zh-CN first."""


def _read(paths: list[Path] | None, roots: list[Path] | None) -> PlanFiles:
    """The plans, or the end of the command with status 2."""
    try:
        shipped = share("config") / "asterisk"
        plans = share("dialplans")
        return read_plan(
            paths or [shipped],
            roots=[*(roots or ()), plans.parent, shipped],
            prompts=plans / "prompts.toml",
            examples=True,
        )
    except (ConfError, FileNotFoundError) as error:
        typer.echo(shown_lines(f"无法读取 / cannot read: {error}"), err=True)
        raise typer.Exit(2) from error


@app.command()
def lint(
    paths: Paths = None,
    root: Root = None,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option(help="警告也算错误 / warnings count too")] = False,
) -> None:
    """检查拨号方案 / check the dialplans against the rules of this system."""
    files = _read(paths, root)
    findings = find(files.routes)
    if as_json:
        typer.echo(
            json_text({"files": files.files, "findings": [f.as_json() for f in findings]}, None)
        )
    else:
        _print(findings, files)
    if any(strict or f.rule.severity == "error" for f in findings):
        raise typer.Exit(1)


def _print(findings: list[Finding], files: PlanFiles) -> None:
    for finding in findings:
        typer.echo(shown_lines(finding))
    errors = sum(f.rule.severity == "error" for f in findings)
    contexts = len(files.routes.plan.contexts)
    typer.echo(
        f"{errors} 处错误,{len(findings) - errors} 处警告 / {errors} errors, "
        f"{len(findings) - errors} warnings ({len(files.files)} files, {contexts} contexts)"
    )


@app.command(name="explain")
def explain_number(
    number: Annotated[str, typer.Argument(help="被叫号码,例如 110 / the number dialled")],
    context: Annotated[str, typer.Option(help="入口上下文 / entry context")] = ENTRY,
    now: Annotated[bool, typer.Option("--now", help="附上现在的坐席 / with the seats now")] = False,
    path: Annotated[
        list[Path] | None, typer.Option(help="目录或文件 / directory or file of the plans")
    ] = None,
    root: Root = None,
    url: Annotated[
        str, typer.Option(envvar="BRIDGE110_URL", help="守护进程地址 / the daemon")
    ] = "http://127.0.0.1:8110",
    token_file: Annotated[
        Path | None,
        typer.Option(envvar="BRIDGE110_TOKEN_FILE", help="令牌文件 / file of the token"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """逐步说明一个号码的去向 / where a dialled number goes, step by step."""
    files = _read(path, root)
    try:
        seats = seats_now(url, token_file) if now else None
        parts = explain(number, files, context=context, seats=seats)
    except ValueError as error:
        typer.echo(shown_lines(f"用法错误 / wrong use: {error}"), err=True)
        raise typer.Exit(2) from error
    except (LookupError, NoAnswer) as error:
        typer.echo(shown_lines(error.args[0]), err=True)
        raise typer.Exit(1) from error
    if as_json:
        document = {"number": number, "context": context, "parts": [p.as_json() for p in parts]}
        typer.echo(json_text(document, None))
    else:
        typer.echo(shown_lines(render(parts)))


def seats_now(url: str, token_file: Path | None) -> list[dict[str, object]]:
    """The seats of the daemon's snapshot. Raises NoAnswer, and ValueError for a strange address."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no http address")
    headers = {"Authorization": f"Bearer {_token(token_file)}"} if token_file else {}
    request = urllib.request.Request(f"{url.rstrip('/')}/api/v1/snapshot", headers=headers)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=DAEMON_S) as answer:  # noqa: S310
            document = json.loads(answer.read(MAX_SNAPSHOT_BYTES))
    except (OSError, ValueError) as error:  # refused, too late, an error status, not JSON
        raise NoAnswer(
            f"守护进程没有答复({url}):{error}。去掉 --now 可看方案本身 / "
            f"the daemon does not answer; leave out --now for the plan alone"
        ) from error
    seats = document.get("seats", []) if isinstance(document, dict) else []
    return [seat for seat in seats if isinstance(seat, dict)]


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"token file {path}: {error.strerror}") from error
    if not token.isascii() or not token.isprintable():
        raise ValueError(f"token file {path}: one line of ASCII is expected")
    return token
