"""`bridge110 token`: who may use the interface of seats and other desks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from bridge.cli.output import AsJson, CommandError, Config, emit, settings_of, shown, table, tell
from bridge.settings.model import DEFAULT_CONFIG
from bridge.tokens import (
    MAX_LIFE_DAYS,
    Role,
    TokenRecord,
    add_token,
    digest,
    new_token,
    read_tokens,
)

app = typer.Typer(help="接口令牌 / tokens of the interface", no_args_is_help=True)


@app.command()
def new(
    role: Annotated[
        Role,
        typer.Option(
            help="T 接警员 L 值班长 E 工程师 U 部门 A 审计 P 第三方台 / call-taker, leader, "
            "engineer, unit, auditor, other desk"
        ),
    ],
    seat: Annotated[
        str | None, typer.Option(help="坐席号,T 与 L 必填 / seat; needed for T and L")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="名称,缺省为角色与坐席 / name; default: role and seat")
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=MAX_LIFE_DAYS, help="有效天数 / days of life")
    ] = MAX_LIFE_DAYS,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """生成令牌,只显示这一次 / make a token; it is shown this once."""
    settings = settings_of(config)
    if role in ("T", "L") and seat is None:
        raise CommandError(f"角色 {role} 需要 --seat / role {role} needs --seat, one of seats.ids")
    if seat is not None and seat not in settings.seats.all:
        raise CommandError(
            f"{config}: 没有坐席 {shown(seat)} / there is no seat {shown(seat)}; "
            "see seats.ids and seats.leaders"
        )
    word = new_token()
    record = TokenRecord(
        name=name or f"{role}-{seat or 'desk'}-{digest(word)[:8]}",
        role=role,
        seat=seat,
        sha256=digest(word),
        expires=datetime.now(UTC).replace(microsecond=0) + timedelta(days=days),
    )
    add_token(settings.http.tokens_file, record)
    document = record.model_dump(mode="json", exclude={"sha256"}) | {"token": word}
    emit(as_json, document, word)
    if not as_json:
        tell(
            f"{record.name}: 令牌只显示这一次,请妥善保存;有效至 {record.expires:%Y-%m-%d} / "
            "shown this once: keep it safe"
        )


@app.command(name="list")
def list_tokens(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """列出令牌(不含令牌本身) / list the tokens, not their words."""
    now = datetime.now(UTC)
    records = read_tokens(settings_of(config).http.tokens_file)
    document = [r.model_dump(mode="json", exclude={"sha256"}) for r in records]
    rows = [
        [
            shown(r.name),
            r.role,
            r.seat or "-",
            f"{r.expires:%Y-%m-%d}" if r.expires else "-",
            "有效 / valid" if r.valid_at(now) else "过期 / expired",
        ]
        for r in records
    ]
    emit(as_json, {"tokens": document}, table(rows) or "没有令牌 / no tokens")
