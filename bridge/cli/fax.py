"""`bridge110 fax`: the fax desk of the running daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from bridge.cli.fax_board import board_words
from bridge.cli.output import AsJson, CommandError, Config, emit, shown
from bridge.cli.reach import TokenFile, Url, asked, fetched
from bridge.settings.model import DEFAULT_CONFIG

app = typer.Typer(help="传真台 / the fax desk", no_args_is_help=True)

_FORMS: Final = {
    ".pdf": "pdf",
    ".png": "png",
    ".tiff": "tiff",
    ".tif": "tiff",
    ".html": "html",
    ".txt": "text",
}

Modem = Annotated[
    str, typer.Option(help="调制解调器,缺省为全部发送 / a modem of the board; else all sending")
]
Number = Annotated[str, typer.Argument(help="传真号码 / fax number")]
Reason = Annotated[str, typer.Option(help="原因 / why")]


@app.command()
def board(
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """各调制解调器的状态、等待的传真、停拨的号码 / modems, what waits, closed numbers."""
    answer = asked(url, token_file, config, "fax")
    lines = [board_words(answer["boards"])]
    for one in answer["blocked"]:
        lines.append(f"停拨 / not dialled: {shown(one['number'])}  {shown(one['reason'])}")
    emit(as_json, answer, "\n".join(lines))


@app.command()
def pause(
    reason: Reason,
    modem: Modem = "",
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """暂停发送;正在发送的页发完,来电照收 / let a modem rest; a page on the line is finished."""
    body = {"modem": modem, "reason": reason}
    _do(url, token_file, config, as_json, "pause", body, "已暂停 / paused")


@app.command()
def resume(
    modem: Modem = "",
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """恢复发送 / let it go on."""
    _do(url, token_file, config, as_json, "resume", {"modem": modem}, "已恢复 / goes on")


@app.command()
def block(
    number: Number,
    reason: Reason,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """停拨一个号码 / close a number."""
    body = {"number": number, "reason": reason}
    _do(url, token_file, config, as_json, "block", body, "已停拨 / closed")


@app.command()
def unblock(
    number: Number,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """核对后恢复拨打 / open a number again, once it has been checked."""
    body = {"number": number}
    _do(url, token_file, config, as_json, "unblock", body, "可以拨打 / open")


@app.command()
def report(
    attempt: Annotated[str, typer.Argument(help="发送编号,见 order show / as order show has it")],
    into: Annotated[Path, typer.Option("--into", help="文件 .pdf .png .tiff .html .txt / file")],
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """传真发送报告,附首页图像 / what became of a fax, with the picture of its first page."""
    form = _FORMS.get(into.suffix)
    if form is None:
        raise CommandError(f"{into}: 后缀应为 / the suffix is one of {', '.join(_FORMS)}")
    order = attempt.rpartition(".")[0]
    path = f"orders/{quote(order, safe='')}/attempts/{quote(attempt, safe='')}/report?form={form}"
    file = fetched(url, token_file, config, path)
    try:
        into.write_bytes(file)
    except OSError as error:
        raise CommandError(f"{into}: 无法写入 / cannot be written: {error}") from error
    emit(as_json, {"attempt": attempt, "file": str(into)}, str(into))


def _do(
    url: str | None,
    token_file: Path | None,
    config: Path,
    as_json: bool,
    service: str,
    body: dict[str, Any],
    words: str,
) -> None:
    answer = asked(url, token_file, config, f"fax/{service}", "POST", body)
    emit(as_json, answer, f"{shown(answer['subject']) or '全部 / all'}: {words}")
