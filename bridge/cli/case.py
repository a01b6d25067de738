"""`bridge110 case`: cases from the store, read-only, whether or not the daemon runs; `describe`
and `plan` ask the daemon.

Telephone numbers are masked unless asked for (guard rule 26); whoever shows, asks for whole
numbers or exports leaves a line in the machine's own log (rule 27: the store is not ours to
write while the daemon holds it).
"""

from __future__ import annotations

import getpass
import os
import syslog
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from bridge.cli.case_words import outcome_words, state_words, timeline
from bridge.cli.output import (
    AsJson,
    CommandError,
    Config,
    emit,
    json_text,
    masked,
    run_async,
    settings_of,
    shown,
    table,
    tell,
)
from bridge.cli.reach import TokenFile, Url, asked
from bridge.domain.attachment import files_named
from bridge.domain.call import as_json
from bridge.domain.journal import Entry, Json, iso
from bridge.flows.ports import Row
from bridge.settings.model import DEFAULT_CONFIG, Settings
from bridge.store import CaseLine, Reader
from bridge.store.files import files_of, look_at
from bridge.store.reader import PAGE


class Class(StrEnum):
    """Classes of matters."""

    POLICE = "POLICE"
    URGENT = "URGENT"
    GENERAL = "GENERAL"


app = typer.Typer(help="求助件 / cases", no_args_is_help=True)

MAX_LISTED: Final = 100_000

Number = Annotated[str, typer.Argument(help="编号,例如 20261124-0001 / number of the case")]
FullNumbers = Annotated[
    bool, typer.Option("--full-numbers", help="显示完整号码 / show whole telephone numbers")
]


@app.command(name="list")
def list_cases(
    day: Annotated[
        str | None, typer.Option(help="当地日期 YYYY-MM-DD / the local day; default: all")
    ] = None,
    state: Annotated[str | None, typer.Option(help="状态 / state")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="最多几件 / at most")] = 50,
    full_numbers: FullNumbers = False,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """列出求助件,新的在前 / list cases, newest first."""
    settings = settings_of(config)
    since, until = _day(day, settings.site.tz)
    reader = Reader(settings.store.path)
    lines = run_async(_lines(reader, since, until, state, limit + 1))
    more, lines = len(lines) > limit, lines[:limit]
    rows = [_listed(line, settings.site.tz, full_numbers) for line in lines]
    document: dict[str, Json] = {"cases": [dict(row) for row in rows], "more": more}
    words = [[str(value) for value in row.values()] for row in rows]
    emit(as_json, document, table(words) or "没有求助件 / no cases")
    if more and not as_json:
        tell(f"还有更多,请用 --limit 或 --day / there are more than {limit}: --limit, --day")


async def _lines(
    reader: Reader, since: datetime | None, until: datetime | None, state: str | None, most: int
) -> list[CaseLine]:
    found: list[CaseLine] = []
    while len(found) < most:
        page = await reader.cases(
            since=since,
            until=until,
            state=state,
            before=found[-1] if found else None,
            limit=min(PAGE, most - len(found)),
        )
        if not page:
            break
        found += page
    return found


def _listed(line: CaseLine, zone: tzinfo, full_numbers: bool) -> dict[str, Json]:
    caller = str(line.row.doc.get("caller", ""))
    return {
        "case": line.row.id,
        "opened_at": line.opened_at.astimezone(zone).isoformat(timespec="seconds"),
        "caller": shown(caller if full_numbers else masked(caller)),
        "entry": shown(line.row.doc.get("entry", "")),
        "state": line.row.state,
    }


def _day(text: str | None, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    if text is None:
        return None, None
    try:
        begin = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: YYYY-MM-DD", param_hint="--day") from error
    return begin.astimezone(UTC), (begin + timedelta(days=1)).astimezone(UTC)


@app.command()
def show(
    number: Number,
    full_numbers: FullNumbers = False,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """一件求助件的时间线 / the time line of a case."""
    settings = settings_of(config)
    rows, entries = run_async(_whole(Reader(settings.store.path), number))
    _audit("show", number)
    moments = timeline(entries, full_numbers=full_numbers)
    document: dict[str, Json] = {
        "case": number,
        "timeline": [
            {
                "at": iso(moment.at),
                "after_s": round(moment.after_s, 3),
                "zh": moment.zh,
                "en": moment.en,
                "learnt_later": moment.learnt,
            }
            for moment in moments
        ],
    }
    parts = [f"求助件 / case {number}", *_summary(rows)]
    parts += [moment.text(settings.site.tz) for moment in moments]
    emit(as_json, document, "\n".join(parts))


def _summary(rows: list[Row]) -> list[str]:
    lines = []
    for row in rows:
        outcome = row.doc.get("outcome")
        ended = f" {outcome_words(outcome)}({shown(outcome)})" if outcome else ""
        if row.table == "call":
            lines.append(f"通话 / call {shown(row.id)}: {state_words(row.state)}{ended}")
        if row.table == "case_file":
            lines += _file_lines(row.doc)
        if row.table == "handoff":
            target = shown(row.doc.get("target", ""))
            lines.append(f"移交 / handoff → {target}: {shown(row.state)}{ended}")
    return lines


def _file_lines(doc: Mapping[str, Any]) -> list[str]:
    """What was written of the case, and who commands it where that is not 110 alone."""
    marks = [doc["category"], doc["klass"], f"{doc['grade']}级" if doc["grade"] else ""]
    place = " ".join(shown(one) for one in (doc["area"], doc["place"]) if one)
    lines = [f"地点 / place: {place}"] if place else []
    lines += [f"类别 / category: {' '.join(map(shown, filter(None, marks)))}"] if any(marks) else []
    lines += [f"内容 / words: {shown(doc['words'])}"] if doc["words"] else []
    command = doc["command"]
    if command["mode"] != "direct":
        lines.append(
            f"指挥 / command: {shown(command['holder'])},专项预案 / special plan "
            f"“{shown(command['plan'])}” {shown(command['body'])}"
        )
    return lines


@app.command()
def describe(
    number: Number,
    place: Annotated[str | None, typer.Option(help="地点 / place")] = None,
    words: Annotated[str | None, typer.Option(help="求助内容 / what was said")] = None,
    area: Annotated[str | None, typer.Option(help="区域 / area")] = None,
    category: Annotated[str | None, typer.Option(help="类别代码 / category code")] = None,
    grade: Annotated[int | None, typer.Option(min=1, max=4, help="级别,1 最重 / grade")] = None,
    klass: Annotated[Class | None, typer.Option(help="警情、紧急、一般 / class")] = None,
    caller_name: Annotated[str | None, typer.Option(help="求助人 / the caller's name")] = None,
    drill: Annotated[bool | None, typer.Option(help="演练 / a drill")] = None,
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """登记案情,经守护进程;未写者不变 / write what a case is; what is left out stays as it is."""
    given = {
        "place": place,
        "words": words,
        "area": area,
        "category": category,
        "grade": grade,
        "klass": klass.value if klass is not None else None,
        "caller_name": caller_name,
        "drill": drill,
    }
    body = {name: value for name, value in given.items() if value is not None}
    answer = asked(url, token_file, config, f"cases/{quote(number, safe='')}", "PATCH", body)
    emit(as_json, answer, f"{shown(number)}: 已登记 / written")


@app.command()
def plan(
    number: Number,
    name: Annotated[str, typer.Option(help="专项预案名称 / the special plan's name")],
    body: Annotated[str, typer.Option(help="指挥单位代号 / the unit that commands from now on")],
    reported_at: Annotated[
        datetime, typer.Option(help="报告时间,当地 / when 110 reported, local time")
    ],
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """启动专项预案,移交指挥权 / start a special plan: its body commands from now on."""
    said = {"plan": name, "body": body, "reported_at": reported_at.astimezone().isoformat()}
    answer = asked(url, token_file, config, f"cases/{quote(number, safe='')}/plan", "POST", said)
    emit(as_json, answer, f"{shown(number)}: 指挥权已移交 / handed to {shown(body)}")


@app.command(name="plan-end")
def plan_end(
    number: Number,
    reason: Annotated[str, typer.Option(help="原因 / why")],
    url: Url = None,
    token_file: TokenFile = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """专项预案结束,由本台指挥 / 110 commands again."""
    path = f"cases/{quote(number, safe='')}/plan/end"
    answer = asked(url, token_file, config, path, "POST", {"reason": reason})
    emit(as_json, answer, f"{shown(number)}: 由本台指挥 / 110 commands")


@app.command()
def export(
    number: Number,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="新文件,缺省为标准输出 / a new file")
    ] = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """导出一件求助件的全部记录(JSON,含完整号码) / everything about a case, numbers included."""
    del as_json  # an export is JSON in any case
    settings = settings_of(config)
    rows, entries = run_async(_whole(Reader(settings.store.path), number))
    _audit("export", number)
    text = json_text(_exported(settings, number, rows, entries))
    if output is None:
        typer.echo(text)
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as error:
        raise CommandError(
            f"{output}: 无法写入,请换一个新文件名 / cannot be written ({error.strerror}); "
            "name a new file"
        ) from error
    tell(f"已导出 / exported: {output}")


def _exported(
    settings: Settings, number: str, rows: list[Row], entries: list[Entry]
) -> dict[str, Any]:
    return {
        "format": "bridge110.case.v1",
        "site": settings.site.name,
        "case": number,
        "exported_at": iso(datetime.now(UTC)),
        "exported_by": _user(),
        "files": _files(settings, entries),
        "recordings_directory": str(settings.asterisk.recordings),
        "records": [
            {"table": row.table, "id": row.id, "state": row.state, "doc": dict(row.doc)}
            for row in rows
        ],
        "journal": [
            {"site": e.site, "seq": e.seq, "hash": e.hash, "prev": e.prev, "fact": as_json(e.fact)}
            for e in entries
        ],
    }


def _files(settings: Settings, entries: list[Entry]) -> dict[str, Any]:
    """Attachments and papers of the case, and which of them are gone or damaged."""
    directory = files_of(settings.store.path)
    names = [name for entry in entries for name in files_named(entry.fact)]
    found = look_at(directory, names)
    return {
        "directory": str(directory),
        "names": [*dict.fromkeys(names)],
        "missing": found.missing,
        "damaged": found.damaged,
    }


async def _whole(reader: Reader, number: str) -> tuple[list[Row], list[Entry]]:
    """The records and the journal of a case. Raises CommandError when there is none."""
    rows = list(await reader.rows_of_case(number))
    if not rows:
        raise CommandError(
            f"没有求助件 {shown(number)},请查看 case list / there is no case {shown(number)}; "
            "see bridge110 case list"
        )
    entries: list[Entry] = []
    while page := await reader.entries_of_case(number, entries[-1].seq if entries else 0):
        entries += page
    return rows, entries


def _audit(what: str, number: str) -> None:
    """Who looked at what, in the machine's own log."""
    line = f"bridge110 case {what} {shown(number)} by {_user()}"
    syslog.syslog(syslog.LOG_AUTHPRIV | syslog.LOG_NOTICE, line)


def _user() -> str:
    """Login name behind sudo, else of this process."""
    try:
        return shown(os.environ.get("SUDO_USER") or getpass.getuser())
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
