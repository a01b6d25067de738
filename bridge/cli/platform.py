"""`bridge110 platform`: links to other desks' platforms, and the cases shared with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bridge.cli.output import AsJson, Config, emit, shown, table
from bridge.cli.reach import TokenFile, Url, asked
from bridge.settings.model import DEFAULT_CONFIG

app = typer.Typer(help="平台对接 / links to other platforms", no_args_is_help=True)
Status = Annotated[str | None, typer.Option("--status", help="只看某一状态 / of one status")]


@app.command()
def status(
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """各平台现状、收发计数与时延 / each link: state, counters, delay in each direction."""
    answer = asked(url, token_file, config, "platforms")
    rows = [
        [
            shown(one["peer"]),
            shown(one["title"]),
            "通 / up" if one["state"] == "up" else f"断 / down: {shown(one['words'])}",
            f"发 {one['sent']} 收 {one['received']} / out, in",
            f"发 {_ms(one['out_ms'])} 收 {_ms(one['in_ms'])} / delay",
        ]
        for one in answer["platforms"]
    ]
    emit(as_json, answer, table(rows))


@app.command("cases")
def listed(
    wanted: Status = None,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """共享的求助件 / cases shared with other desks."""
    path = "peer-cases" if wanted is None else f"peer-cases?status={wanted}"
    answer = asked(url, token_file, config, path)
    emit(as_json, answer, table([_row(one) for one in answer["cases"]]))


def _row(one: Mapping[str, Any]) -> list[str]:
    case = one["document"]
    waits = [peer for peer, there in one["delivered"].items() if not there]
    where = f"待送 / waiting: {', '.join(waits)}" if waits else "已送达 / delivered"
    return [shown(one["id"]), shown(case["status"]), shown(case["ticket"] or "-"), where]


def _ms(value: int | None) -> str:
    return "-" if value is None else f"{value} ms"
