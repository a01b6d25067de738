"""`bridge110 unit`: the directory of units and the state of their wires."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import quote

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
