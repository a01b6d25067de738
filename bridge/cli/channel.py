"""`bridge110 channel`: the wires that orders go by."""

from __future__ import annotations

import typer

from bridge.cli.order_words import channel_words
from bridge.cli.output import AsJson, Config, emit, table
from bridge.cli.reach import TokenFile, Url, asked
from bridge.settings.model import DEFAULT_CONFIG

app = typer.Typer(help="指令通道 / wires of orders", no_args_is_help=True)


@app.callback()
def wires() -> None:
    """指令通道 / wires of orders."""


@app.command()
def status(
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """各通道现状 / how each wire is."""
    answer = asked(url, token_file, config, "channels")
    rows = [
        [
            channel_words(one["channel"]),
            "有 / there" if one["there"] else "无 / none",
            f"{one['units_working']}/{one['units']} 单位 / units",
            f"{one['attempts_running']} 进行中 / running",
        ]
        for one in answer["channels"]
    ]
    emit(as_json, answer, table(rows))
