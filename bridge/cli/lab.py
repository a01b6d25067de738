"""`bridge110 lab`: Asterisk, daemon and robots on this machine, and one whole call on them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bridge.cli import case
from bridge.cli.output import AsJson, CommandError, emit, run_async, shown, table
from bridge.lab.fax_witness import fax_facts
from bridge.lab.faxnet import FaxNetwork
from bridge.lab.ports import ports_from_environment
from bridge.lab.progress import say
from bridge.lab.radio_witness import radio_facts
from bridge.lab.robots import Access, Robots
from bridge.lab.scenario import play
from bridge.lab.standing import LabPlace, standing
from bridge.lab.tones import HOTLINE
from bridge.lab.witness import Fact, meetings, read_order, read_record, voices

app = typer.Typer(help="实验室:真实 Asterisk 与机器人话机 / the laboratory", no_args_is_help=True)

CALL_S: Final = 120.0
"""Longest that a call may take from the wish to the table."""
MAX_ANSWER: Final = 1 << 20
"""Bytes of one answer of a standing laboratory."""

MuteHotline = Annotated[
    bool,
    typer.Option(help="12345 不出声,用于证明检查有效 / 12345 says nothing: the check must fail"),
]


@app.command()
def up(
    bare: Annotated[
        bool, typer.Option("--bare", help="只启动 Asterisk 与守护进程 / no telephones")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="一次完整通话后结束 / end after one whole call")
    ] = False,
    mute_hotline: MuteHotline = False,
) -> None:
    """启动实验室并演示一次完整通话 / start it and play one whole call."""
    if bare and once:
        raise typer.BadParameter("--bare 没有通话可演示 / nothing is played", param_hint="--once")
    place = LabPlace(ports_from_environment())
    tone = 0 if mute_hotline else HOTLINE
    run_async(_until_told(_up(place, bare=bare, once=once, tone=tone), once=once))


async def _until_told(work: Awaitable[None], *, once: bool) -> None:
    """Ctrl-C and SIGTERM end the laboratory in order; only with `once` is that a failure."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, told.set)
    doing = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(told.wait())
    await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if doing.done():
        return doing.result()
    doing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await doing
    if once:
        raise CommandError("已中断 / interrupted")
    return None


async def _up(place: LabPlace, *, bare: bool, once: bool, tone: int) -> None:
    async with standing(place) as world:
        info = world.info()
        robots = Robots(Access.from_info(info), tone)
        try:
            if not bare:
                say("机器人话机注册", "the robots' telephones register")
                await robots.start()
                document = await _played(robots, world.faxes)
                # the command itself: its own event loop needs a thread of its own
                await asyncio.to_thread(_show, document, info)
                if once:
                    _refuse(document)
                    return
            await _stay(place, robots, info)
        finally:
            await robots.stop()


async def _stay(place: LabPlace, robots: Robots, info: Mapping[str, Any]) -> None:
    """Until cancelled; `lab call` may ask for another call, one at a time."""
    one = asyncio.Lock()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with one:
                document = await _played(robots)
            writer.write(json.dumps(document).encode())
            await writer.drain()
        except OSError as error:
            say("演示请求已中断", f"whoever asked for a call has gone: {error}")
        finally:
            writer.close()

    url = info["http"]
    typer.echo(f"监视页面 / board: {url}\n结束请按 Ctrl-C / Ctrl-C ends it")
    if not robots.phones:
        await asyncio.Event().wait()
    async with await asyncio.start_unix_server(answer, place.socket) as server:
        await server.serve_forever()


async def _played(robots: Robots, faxes: FaxNetwork | None = None) -> dict[str, Any]:
    """One whole call, and what the telephones confirm of it. With `faxes`: and its fax."""
    played = await play(robots, faxes)
    record = await read_record(robots.access, played)
    facts = meetings(played, record)
    order = await read_order(robots.access, played, played.order)
    facts += await asyncio.to_thread(radio_facts, played.order, robots.access.air_log, order)
    if played.fax is not None:
        order = await read_order(robots.access, played, played.fax.order)
        facts += await asyncio.to_thread(fax_facts, played.fax, robots.access.faxes, order)
    facts += await asyncio.to_thread(voices, played, record, robots.access.recordings)
    return {
        "case": played.case,
        "confirmed": all(fact.confirmed for fact in facts),
        "facts": [
            {
                "zh": fact.zh,
                "en": fact.en,
                "telephones": fact.telephones,
                "daemon": fact.daemon,
                "confirmed": fact.confirmed,
            }
            for fact in facts
        ],
        "words": _words(facts),
    }


def _words(facts: list[Fact]) -> str:
    seen = "话机、电台、传真机观测 / telephones, radios, fax machine"
    rows = [["", "事实 / fact", seen, "守护进程记录 / daemon"]]
    for fact in facts:
        mark = "✓" if fact.confirmed else "✗"
        rows.append([mark, f"{fact.zh} / {fact.en}", shown(fact.telephones), shown(fact.daemon)])
    good = sum(fact.confirmed for fact in facts)
    return f"\n{table(rows)}\n{good}/{len(facts)} 项得到证实 / confirmed from outside"


def _show(document: Mapping[str, Any], info: Mapping[str, Any]) -> None:
    """The case's time line as `case show` prints it, and the table of facts."""
    if document["case"]:
        case.show(document["case"], False, Path(info["config"]), False)
    typer.echo(document["words"])


def _refuse(document: Mapping[str, Any]) -> None:
    if not document["confirmed"]:
        wrong = "; ".join(f"{f['zh']} / {f['en']}" for f in document["facts"] if not f["confirmed"])
        raise CommandError(f"未经证实 / not confirmed: {wrong}")


@app.command()
def call(as_json: AsJson = False) -> None:
    """再演示一次通话 / let the robots play another call on the running laboratory."""
    place = LabPlace(ports_from_environment())
    found = place.info()
    document = run_async(_call(place, found))
    if as_json:
        emit(True, {name: document[name] for name in ("case", "confirmed", "facts")}, "")
    else:
        _show(document, found)
    _refuse(document)


async def _call(place: LabPlace, info: Mapping[str, Any]) -> Mapping[str, Any]:
    if not place.socket.exists():  # bare, so the robots are ours for this one call
        robots = Robots(Access.from_info(info))
        try:
            await robots.start()
            return await _played(robots)
        finally:
            await robots.stop()
    try:
        async with asyncio.timeout(CALL_S):
            reader, writer = await asyncio.open_unix_connection(place.socket)
            try:
                answer = await reader.read(MAX_ANSWER)
                while piece := await reader.read(MAX_ANSWER):
                    answer += piece
            finally:
                writer.close()
        document: Mapping[str, Any] = json.loads(answer)
    except (OSError, TimeoutError, ValueError) as error:
        raise CommandError(
            f"{place.socket}: 实验室没有应答,请重新启动 / the laboratory does not answer "
            f"({error or type(error).__name__}); start it again"
        ) from error
    return document


@app.command()
def info(as_json: AsJson = False) -> None:
    """地址、端口、账号与实验室密钥 / every address, port, account and lab secret."""
    document = LabPlace(ports_from_environment()).info()
    rows = [[name, json.dumps(value, ensure_ascii=False)] for name, value in document.items()]
    emit(as_json, document, table(rows))


@app.command()
def down() -> None:
    """停止正在运行的实验室 / stop the running laboratory."""
    ran = LabPlace(ports_from_environment()).down()
    typer.echo("已停止 / stopped" if ran else "没有实验室在运行 / no laboratory is running")
