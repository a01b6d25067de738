"""`bridge110 order`: orders to units, through the running daemon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from bridge.cli.order_words import along_words, channel_words, state_words
from bridge.cli.output import AsJson, CommandError, Config, emit, masked, shown, table
from bridge.cli.reach import TokenFile, Url, asked
from bridge.settings.model import DEFAULT_CONFIG

app = typer.Typer(help="指令 / orders to units", no_args_is_help=True)

OrderId = Annotated[str, typer.Argument(help="指令号 / the order's number")]


class Kind(StrEnum):
    """Order types (SB-09, SB-27)."""

    SITE = "site"
    COMMAND = "command"
    NOTICE = "notice"
    EQUIPMENT = "equipment"
    INSPECTION = "inspection"
    SUPPORT = "support"


@app.command()
def send(
    case: Annotated[str, typer.Argument(help="求助件号 / the case")],
    unit: Annotated[list[str], typer.Option(help="单位,可多次 / unit; may be repeated")],
    words: Annotated[
        str, typer.Option(help="指令内容,缺省为案情 / what is to be done; default: the case's")
    ] = "",
    kind: Annotated[Kind, typer.Option(help="类型 / type")] = Kind.SITE,
    urgent: Annotated[
        bool, typer.Option("--urgent", help="紧急,缺省按案情 / class URGENT; default: the case's")
    ] = False,
    place: Annotated[str, typer.Option(help="地点 / place")] = "",
    squad: Annotated[str, typer.Option(help="中队、分队 / squad")] = "",
    equipment: Annotated[str, typer.Option(help="装备 / equipment")] = "",
    drill: Annotated[bool, typer.Option("--drill", help="演练 / a drill")] = False,
    green: Annotated[bool, typer.Option("--green", help="绿色通道 / green channel")] = False,
    confirmed: Annotated[
        bool, typer.Option("--confirmed", help="确认对三级单位的出警指令 / site order to tier 3")
    ] = False,
    copy: Annotated[bool, typer.Option("--copy", help="抄送中心 / copy to the centre")] = False,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """下达指令,每个单位一条 / give an order, one for each unit."""
    body = {
        "units": unit,
        "words": words,
        "kind": kind.value,
        "klass": "URGENT" if urgent else "",
        "place": place,
        "squad": squad,
        "equipment": equipment,
        "drill": drill,
        "green": green,
        "confirmed": confirmed,
        "copy_centre": copy,
    }
    path = f"cases/{quote(case, safe='')}/orders"
    answer = asked(url, token_file, config, path, "POST", body)
    lines = [
        f"{shown(one['order'])}  {shown(one['unit'])}  {state_words(one['state'])}"
        + ("  需要确认 / asks for confirmation" if one["confirmation_asked"] else "")
        for one in answer["orders"]
    ]
    if (along := answer.get("along")) is not None:
        lines.append(along_words(along))
    emit(as_json, answer, "\n".join(lines))


@app.command(name="list")
def list_orders(
    case: Annotated[str | None, typer.Option(help="某一求助件 / of one case")] = None,
    state: Annotated[str, typer.Option(help="open、all 或状态 / open, all or a state")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """列出指令 / list orders."""
    path = f"orders?{urlencode({'state': state, 'limit': limit})}"
    if case is not None:
        path = f"cases/{quote(case, safe='')}/orders"
    answer = asked(url, token_file, config, path)
    rows = [
        [
            shown(one["order"]),
            state_words(one["state"]),
            shown(one["unit_name"] or one["unit"]),
            shown(one["acknowledged_by"] or "-"),
            shown(one["words"])[:30],
            f"缺 / missing: {shown(', '.join(one['missing']))}" if one["missing"] else "",
        ]
        for one in answer["orders"]
    ]
    emit(as_json, answer, table(rows) or "没有指令 / no orders")


@app.command()
def show(
    order: OrderId,
    numbers: Annotated[
        bool, typer.Option("--numbers", help="显示完整号码 / whole telephone numbers")
    ] = False,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """一条指令的全部经过 / everything about one order."""
    answer = asked(url, token_file, config, f"orders/{quote(order, safe='')}")
    if not numbers and answer.get("caller_number"):
        answer["caller_number"] = masked(str(answer["caller_number"]))
    emit(as_json, answer, "\n".join(_story(answer)))


@app.command()
def ack(
    order: OrderId,
    by: Annotated[str, typer.Option(help="签收人 / who signed")],
    reference: Annotated[
        str | None, typer.Option(help="已在处置的编号 / already in hand under")
    ] = None,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """代单位签收,注明何人 / sign on behalf of a unit, naming the person."""
    body = {"by": by, "in_hand": reference is not None, "reference": reference or ""}
    _command(url, token_file, config, as_json, order, "acknowledge", body, "已签收 / signed")


@app.command()
def remind(
    order: OrderId,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """催办 / remind the unit."""
    _command(url, token_file, config, as_json, order, "remind", None, "已催办 / reminded")


@app.command()
def cancel(
    order: OrderId,
    reason: Annotated[str, typer.Option(help="原因 / why")],
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """取消指令,单位会得到通知 / cancel; the unit is told."""
    body = {"reason": reason}
    _command(url, token_file, config, as_json, order, "cancel", body, "已取消 / cancelled")


@app.command(name="pass-on")
def pass_on(
    order: OrderId,
    to: Annotated[str, typer.Option(help="移交给 / to which unit")],
    by: Annotated[str, typer.Option(help="请求人 / who at the unit asked")],
    words: Annotated[str, typer.Option(help="原因 / why")] = "",
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """代单位请求移交,新指令待确认 / pass on for a unit; the new order waits for confirmation."""
    body = {"to": to, "by": by, "text": words}
    path = f"orders/{quote(order, safe='')}/pass-on"
    answer = asked(url, token_file, config, path, "POST", body)
    emit(as_json, answer, f"{shown(answer['order'])}: 待确认 / waits for confirmation")


@app.command()
def confirm(
    order: OrderId,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """确认待确认的指令 / confirm an order that waits for it."""
    _command(url, token_file, config, as_json, order, "confirm", None, "已确认 / confirmed")


@app.command()
def redirect(
    order: OrderId,
    number: Annotated[str, typer.Argument(help="传真号码 / fax number")],
    reason: Annotated[str, typer.Option(help="原因 / why")],
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """传真改发其他号码 / have the order's fax go to another number."""
    body = {"number": number, "reason": reason}
    _command(url, token_file, config, as_json, order, "redirect", body, "已改发 / redirected")


@app.command("take-back")
def take_back(
    attempt: Annotated[str, typer.Argument(help="下发编号,见 order show / as order show has it")],
    reason: Annotated[str, typer.Option(help="原因 / why")],
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """撤回一次下发(如一份传真),指令继续 / take one attempt back; its order goes on."""
    body = {"attempt": attempt, "reason": reason}
    order = attempt.rpartition(".")[0]
    _command(url, token_file, config, as_json, order, "take-back", body, "撤回中 / is taken back")


def _command(
    url: str | None,
    token_file: Path | None,
    config: Path,
    as_json: bool,
    order: str,
    service: str,
    body: Mapping[str, Any] | None,
    words: str,
) -> None:
    path = f"orders/{quote(order, safe='')}/{service}"
    answer = asked(url, token_file, config, path, "POST", body)
    if answer.get("order") != order:
        raise CommandError(f"{shown(order)}: 答复不明 / the answer speaks of something else")
    emit(as_json, answer, f"{shown(order)}: {words}")


def _story(order: Mapping[str, Any]) -> Iterator[str]:
    yield f"{shown(order['id'])}  {state_words(order['state'])}  {shown(order['unit_name'])}"
    marks = [
        words
        for words, there in (
            ("演练 / drill", order.get("drill")),
            ("绿色通道 / green channel", order.get("green")),
            ("有异议 / disputed", order["disputed"]),
            (f"超时 / overdue: {shown(', '.join(order['overdue']))}", order["overdue"]),
            (f"缺 / missing: {shown(', '.join(order['missing']))}", order["missing"]),
        )
        if there
    ]
    if marks:
        yield "  ".join(marks)
    yield f"{shown(order.get('place') or '')} {shown(order['words'])}".strip()
    for attempt in order["attempts"]:
        cause = f" ({shown(attempt['cause'])})" if attempt["cause"] else ""
        repeat = " 可能重复 / may be a repeat" if attempt["repeat"] else ""
        yield (
            f"  {channel_words(attempt['channel'])} #{attempt['number']} "
            f"{state_words(attempt['state'])}{cause}{repeat} {shown(attempt['detail'])}".rstrip()
        )
    signed = order.get("acknowledged")
    if signed:
        yield f"  签收 / signed: {shown(signed['by'])} {shown(signed['at'])}"
    for report in order["reports"]:
        yield f"  {shown(report['says'])}: {shown(report['by'])} {shown(report['words'])}"
        for name in report["attachments"]:
            yield f"    附件 / attachment: {shown(name)}"
    for unit in order["passed_on"]:
        yield f"  请求移交 / to be passed on to: {shown(unit)}"
    for recording in order["recordings"]:
        gone = recording.get("missing") or recording.get("error")
        mark = " 缺失 / incomplete" if gone else ""
        yield f"  录音 / recording{mark}: {shown(recording['call'])}"
        for track in recording.get("tracks", ()):
            yield f"    {shown(track['leg'])} {track['seconds']:.1f} s {shown(track['file'])}"
