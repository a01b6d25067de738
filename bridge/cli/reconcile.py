"""`bridge110 reconcile`: the switch's log of a day beside the journal, call by call.

Needs neither the daemon nor Asterisk: it reads the event log (CEL), rotated files too, and the
store. Exit status 1 where they differ.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from bridge.asterisk.cel import Row, parse_rows
from bridge.asterisk.cel_calls import Tally
from bridge.cli.case_words import outcome_words
from bridge.cli.output import (
    AsJson,
    CommandError,
    Config,
    emit,
    masked,
    run_async,
    settings_of,
    shown,
)
from bridge.domain.journal import Json, iso
from bridge.domain.reconcile import WORDS, Difference, Reckoning, SwitchCall, ToldCall, reckon
from bridge.settings.model import DEFAULT_CONFIG, Settings
from bridge.store import Reader

PIECE: Final = 16 * 1024 * 1024
SETTLES: Final = timedelta(seconds=5)
"""A call so young may not be in both logs yet: it is not judged, but waiting."""
EDGE: Final = timedelta(minutes=5)
"""Both logs give a call's beginning by their own event; at midnight one may be a day apart."""


def reconcile(
    day: Annotated[
        str | None,
        typer.Option(help="当地日期 YYYY-MM-DD,缺省今天 / local day; default: today"),
    ] = None,
    cel: Annotated[
        list[Path] | None,
        typer.Option(help="交换机日志文件,缺省见配置并含轮转 / event logs; default: as configured"),
    ] = None,
    full_numbers: Annotated[
        bool, typer.Option("--full-numbers", help="显示完整号码 / show whole telephone numbers")
    ] = False,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """对账:来电 = 接通 + 有因未接 / calls that came in = delivered + explained."""
    settings = settings_of(config)
    now = datetime.now(UTC)
    begin, end = _span(day, now, settings)
    files = list(cel) if cel else cel_files(settings.asterisk.cel_file)
    seen, young = calls_of(files, begin, end, now)
    told = run_async(_told(Reader(settings.store.path), begin - EDGE, end + EDGE))
    sum_ = reckon(seen, _of_the_day(told, seen, (begin, min(end, now - SETTLES)), young))
    sum_.came_in += len(young)
    sum_.waiting += len(young)
    name = f"{begin.astimezone(settings.site.tz):%Y-%m-%d}"
    emit(as_json, _document(name, sum_, files, full_numbers), _words(name, sum_, full_numbers))
    if not sum_.is_exact:
        raise CommandError(
            f"{name}: 对账不符 {len(sum_.differences)} 件,请逐件核实并按号码回拨 / switch and "
            f"journal differ on {len(sum_.differences)} call(s); look at each, call back"
        )


def _span(day: str | None, now: datetime, settings: Settings) -> tuple[datetime, datetime]:
    zone = settings.site.tz
    try:
        begin = (
            datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=zone)
            if day
            else now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        )
    except ValueError as error:
        raise typer.BadParameter(f"{day!r}: YYYY-MM-DD", param_hint="--day") from error
    return begin.astimezone(UTC), (begin + timedelta(days=1)).astimezone(UTC)


def cel_files(current: Path) -> list[Path]:
    """The event log and its rotated files, oldest first. Raises CommandError without any."""
    found = [path for path in current.parent.glob(f"{current.name}*") if path.is_file()]
    if not found:
        raise CommandError(
            f"{current}: 没有交换机日志,请检查 cel_custom.conf 或用 --cel 指定 / "
            "no event log of the switch; see cel_custom.conf, or name files with --cel"
        )
    return sorted(found, key=lambda path: path.stat().st_mtime)


def calls_of(
    files: list[Path], begin: datetime, end: datetime, now: datetime
) -> tuple[list[SwitchCall], list[SwitchCall]]:
    """Calls that came in within the day: those to be judged, and those too young for it.

    Raises CommandError for a file that cannot be read.
    """
    tally = Tally(most=None)
    for file in files:
        tally.take(_rows(file))
    of_day = [call for call in tally.calls.values() if begin <= call.at < end]
    young = [call for call in of_day if now - (call.ended_at or call.at) < SETTLES]
    return [call for call in of_day if call not in young], young


def _rows(file: Path) -> Iterator[Row]:
    """All rows of a file, plain or .gz, in pieces."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as data:
            rest = b""
            while piece := data.read(PIECE):
                whole, line_end, rest = (rest + piece).rpartition(b"\n")
                yield from parse_rows(whole + line_end)
            yield from parse_rows(rest)
    except (OSError, EOFError, zlib.error) as error:
        raise CommandError(f"{file}: 无法读取 / cannot be read: {error}") from error


async def _told(reader: Reader, since: datetime, until: datetime) -> Mapping[str, ToldCall]:
    """The journal's calls, an hour at a time: each read ends within a second."""
    found: dict[str, ToldCall] = {}
    while since < until:
        hour = min(since + timedelta(hours=1), until)
        found.update(await reader.calls_told_between(since, hour))
        since = hour
    return found


def _of_the_day(
    told: Mapping[str, ToldCall],
    seen: list[SwitchCall],
    span: tuple[datetime, datetime],
    young: list[SwitchCall],
) -> dict[str, ToldCall]:
    """The journal's calls that belong to the day: by the switch's time where it has one."""
    judged, spared = {call.id for call in seen}, {call.id for call in young}
    return {
        call.id: call
        for call in told.values()
        if call.id in judged or (span[0] <= call.at < span[1] and call.id not in spared)
    }


def _document(day: str, sum_: Reckoning, files: list[Path], full_numbers: bool) -> dict[str, Json]:
    return {
        "day": day,
        "exact": sum_.is_exact,
        "came_in": sum_.came_in,
        "delivered": sum_.delivered,
        "explained": dict(sum_.explained),
        "waiting": sum_.waiting,
        "differences": [
            {
                "call": shown(one.call),
                "case": one.case,
                "what": one.verdict.value,
                "zh": WORDS[one.verdict][0],
                "en": WORDS[one.verdict][1],
                "at": iso(one.at),
                "number": _number(one, full_numbers),
            }
            for one in sum_.differences
        ],
        "files": [str(file) for file in files],
    }


def _words(day: str, sum_: Reckoning, full_numbers: bool) -> str:
    explained = "".join(
        f"\n    {outcome_words(name)} / {shown(name)}: {count}"
        for name, count in sorted(sum_.explained.items())
    )
    lines = [
        f"{day} 来电 / came in: {sum_.came_in}",
        f"  接通 / delivered: {sum_.delivered}",
        f"  有因未接 / explained: {sum_.explained.total()}{explained}",
        f"  等待中 / waiting: {sum_.waiting}",
        f"  不符 / differences: {len(sum_.differences)}",
    ]
    for one in sum_.differences:
        case = f" {shown(one.case)}" if one.case else ""
        number = shown(_number(one, full_numbers))
        lines.append(f"    {iso(one.at)} {shown(str(one))}{case} {number}".rstrip())
    return "\n".join(lines)


def _number(one: Difference, full_numbers: bool) -> str:
    return one.number if full_numbers else masked(one.number)
