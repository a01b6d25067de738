"""`bridge110 unit`: the directory of units and the state of their wires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer
from argon2 import PasswordHasher

from bridge.cli.order_words import channel_words
from bridge.cli.output import AsJson, CommandError, Config, emit, shown, table
from bridge.cli.reach import TokenFile, Url, asked
from bridge.settings.model import DEFAULT_CONFIG

app = typer.Typer(help="联动单位 / units", no_args_is_help=True)

UnitId = Annotated[str, typer.Argument(help="单位代号 / the unit")]
TEST_SECONDS = 120.0
PIN_LENGTH = range(4, 13)


@app.command(name="list")
def list_units(
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """列出单位与通道现状 / units and how their wires are."""
    answer = asked(url, token_file, config, "units")
    rows = [
        [
            shown(unit["unit"]),
            shown(unit["name"]),
            str(unit["tier"] or "-"),
            str(unit["open_orders"]),
            " ".join(f"{wire['channel']}{_mark(wire)}" for wire in unit["wires"]) or "无通道",
        ]
        for unit in answer["units"]
    ]
    emit(as_json, answer, table(rows) or "没有单位 / no units")


@app.command()
def show(
    unit: UnitId,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """一个单位 / one unit."""
    answer = asked(url, token_file, config, f"units/{quote(unit, safe='')}")
    emit(as_json, answer, "\n".join(_lines(answer)))


@app.command(name="test")
def check_wires(
    unit: UnitId,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """检查单位的每个通道;一个都不通则失败 / check every wire; fails where none works."""
    path = f"units/{quote(unit, safe='')}/test"
    answer = asked(url, token_file, config, path, "POST", timeout=TEST_SECONDS)
    emit(as_json, answer, "\n".join(_lines(answer)))
    if not any(wire["works"] for wire in answer["wires"]):
        raise CommandError(f"{shown(unit)}: 没有可用的通道 / no wire of this unit works")


@app.command()
def delays(
    days: Annotated[int, typer.Option(min=1, max=366, help="最近几天 / of the last days")] = 31,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """各单位用时与超时,演练除外;原因只列示,不扣减 / how long units took; reasons deduct nothing."""
    until = datetime.now(UTC)
    query = urlencode(
        {"since": (until - timedelta(days=days)).isoformat(), "until": until.isoformat()}
    )
    answer = asked(url, token_file, config, f"delays?{query}")
    emit(as_json, answer, "\n".join(_delay_lines(answer["units"])) or "没有指令 / no orders")


def _delay_lines(units: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for unit in units:
        yield f"{shown(unit['unit'])}  {shown(unit['name'])}  指令 / orders {unit['orders']}"
        for name, words in _SPANS.items():
            span = unit[name]
            if span["count"]:
                yield (
                    f"  {words}: {span['count']} 次,中位 / median {_minutes(span['median_s'])},"
                    f"最长 / longest {_minutes(span['longest_s'])}"
                )
        for name, words in (("arrival", "到场"), ("result", "结果")):
            if unit[f"late_{name}"]:
                late = _minutes(unit[f"late_{name}_s"])
                yield f"  {words}超时 / {name} late: {unit[f'late_{name}']} 次,共 / in all {late}"
        for reason in unit["reasons"]:
            yield f"  原因 / reason {shown(reason['order'])}: {shown(reason['words'])}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


_SPANS = {
    "received_to_accepted_s": "送达至签收 / received to signed",
    "accepted_to_arrival_s": "签收至到场 / signed to arrival",
    "received_to_arrival_s": "送达至到场 / received to arrival",
    "arrival_to_report_s": "到场至报告 / arrival to its report",
    "received_to_result_s": "送达至结果 / received to result",
}


@app.command()
def pin() -> None:
    """电话报告口令的散列,写入名录的 report_pin / hash of a PIN for report_pin."""
    word: str = typer.prompt("口令 / PIN", hide_input=True, confirmation_prompt=True)
    if not (word.isascii() and word.isdigit() and len(word) in PIN_LENGTH):
        raise CommandError("口令应为 4 至 12 位数字 / a PIN is 4 to 12 digits")
    typer.echo(PasswordHasher().hash(word))


def _mark(wire: Mapping[str, Any]) -> str:
    return {True: "✔", False: "✖", None: "?"}[wire["works"]]


def _lines(unit: Mapping[str, Any]) -> Iterator[str]:
    yield f"{shown(unit['unit'])}  {shown(unit['name'])}  {shown(unit['area'])}".rstrip()
    for wire in unit["wires"]:
        addresses = ", ".join(map(shown, wire["addresses"]))
        words = shown(wire["words"])
        yield f"  {_mark(wire)} {channel_words(wire['channel'])}: {addresses} {words}".rstrip()
    if not unit["wires"]:
        yield "  没有通道 / no wires"
