"""`bridge110 hardware fax`: one fax modem, tried and used by hand."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from queue import Empty, Queue
from typing import Annotated, Any, Final

import typer

from bridge.cli.fax_board import board_words
from bridge.cli.output import AsJson, CommandError, emit, run_async, shown, table, tell
from bridge.cli.ports import SOCKET
from hardware.fax.line import FaxLine, LineState
from hardware.fax.modem import Probe, Received, probe
from hardware.fax.modem_at import NUMBER, ModemFault
from hardware.fax.page import Page, PageError, read_tiff, write_tiff
from hardware.fax.port_wire import PortWire
from hardware.fax.t30 import (
    Agreed,
    Ended,
    Outcome,
    PageAgain,
    PageConfirmed,
    PageStarted,
    Report,
    Result,
)
from hardware.fax.t30_frames import Chosen, encode_identity
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.fax.trace_words import words_of
from hardware.fax.watch import FrameSeen
from hardware.fax.wire import WireGone
from hardware.port import PortSettings
from hardware.ports.question import NoAnswer, question
from hardware.trace import TraceError, read_trace

app = typer.Typer(help="传真调制解调器 / fax modems", no_args_is_help=True)

READY_SECONDS: Final = 30.0
"""Until a modem must be initialised: a reset takes up to 10 s."""
LOOK_SECONDS: Final = 0.2

Port = Annotated[str, typer.Argument(help="设备完整路径 / full path of the device")]
Speed = Annotated[int, typer.Option("--speed", help="串口速率 / rate of the port, bit/s")]
Flow = Annotated[bool, typer.Option("--rtscts/--no-flow", help="RTS/CTS 流控 / flow control")]
Identity = Annotated[str, typer.Option("--id", help="本机传真标识 / our fax identity")]
TraceFile = Annotated[
    Path | None, typer.Option("--trace", help="把全部字节记入文件 / write every byte to a file")
]


@app.command("probe")
def probe_modem(
    port: Port, speed: Speed = 115200, rtscts: Flow = True, as_json: AsJson = False
) -> None:
    """调制解调器的型号、等级与速率 / what a modem is and can do."""
    known = run_async(_probe(_port(port, speed, rtscts)))
    document = {
        "port": port,
        "about": known.about,
        "classes": list(known.classes),
        "class": known.fax_class,
        "rates": [f"{rate.modulation} {rate.bps}" for rate in known.rates],
        "model": known.model.name,
    }
    rows = [
        ["型号 / model", shown(known.about) or "-"],
        ["设置 / settings", known.model.name],
        ["等级 / classes", ", ".join(known.classes) or "-"],
        ["采用 / used", known.fax_class or "不支持传真 / no fax"],
        ["速率 / rates", ", ".join(document["rates"]) or "由调制解调器决定 / the modem's affair"],
    ]
    emit(as_json, document, table(rows))
    if not known.fax_class:
        raise typer.Exit(1)


async def _probe(settings: PortSettings) -> Probe:
    try:
        async with PortWire(settings) as wire:
            return await probe(wire)
    except (WireGone, ModemFault) as error:
        raise CommandError(f"{settings.name}: {error}") from error


@app.command()
def send(
    port: Port,
    number: Annotated[str, typer.Argument(help="号码 / number")],
    file: Annotated[Path, typer.Argument(help="TIFF,1728 点宽 / 1728 pels wide")],
    also: Annotated[
        list[str] | None, typer.Option(help="同文再发,可多次 / a further number; may be repeated")
    ] = None,
    identity: Identity = "",
    ecm: Annotated[bool, typer.Option(help="误码纠正 / error correction")] = True,
    max_bps: Annotated[int, typer.Option(help="最高速率 / highest speed, bit/s")] = 14400,
    speed: Speed = 115200,
    rtscts: Flow = True,
    trace: TraceFile = None,
    as_json: AsJson = False,
) -> None:
    """发送文件;未获对方确认不算送达 / send a document; only what is confirmed is delivered."""
    pages = _pages(file)
    numbers = list(dict.fromkeys([number, *(also or ())]))
    for one in numbers:
        _check(one, identity)
    line = FaxLine(_port(port, speed, rtscts), trace=trace)
    line.start()
    try:
        _wait_ready(line)
        settings = SenderSettings(identity=identity, ecm=ecm, max_bps=max_bps)
        outcomes = {}
        for one in numbers:
            progress = Progress(len(pages))
            sent = line.send(one, pages, settings, progress.seen)
            outcomes[one] = _result_of(sent, progress)
    finally:
        line.stop()
    documents = [{"number": one} | outcome_document(out) for one, out in outcomes.items()]
    words = [f"{one}: {outcome_words(out, len(pages))}" for one, out in outcomes.items()]
    emit(as_json, {"outcomes": documents}, "\n".join(words))
    if any(outcome.result is not Result.DELIVERED for outcome in outcomes.values()):
        raise typer.Exit(1)


@app.command()
def receive(
    port: Port,
    into: Annotated[Path, typer.Option("--into", help="保存目录 / directory for the pages")],
    identity: Identity = "",
    wait: Annotated[float, typer.Option(help="等待来电秒数 / seconds to wait for a call")] = 3600.0,
    speed: Speed = 115200,
    rtscts: Flow = True,
    trace: TraceFile = None,
    as_json: AsJson = False,
) -> None:
    """等待并接收一份传真 / wait for one fax and take it."""
    _check("0", identity)
    into.mkdir(parents=True, exist_ok=True)
    inbox: Queue[Received] = Queue()
    answers = ReceiverSettings(identity=identity)
    line = FaxLine(_port(port, speed, rtscts), answers=answers, on_received=inbox.put, trace=trace)
    line.start()
    try:
        _wait_ready(line)
        tell("等待来电 / waiting for a call")
        outcome, received = _next_call(inbox, wait, line)
    finally:
        line.stop()
    pages = [page.page() for page in received]
    pages = [page for page in pages if page.height]
    name = None
    if pages:
        name = into / time.strftime("fax-%Y%m%dT%H%M%SZ.tif", time.gmtime())
        name.write_bytes(write_tiff(pages))
    document = outcome_document(outcome) | {"file": None if name is None else str(name)}
    words = outcome_words(outcome, len(pages))
    emit(as_json, document, f"{words}\n{name or '没有页面 / no pages'}")
    if outcome.result is not Result.DELIVERED:
        raise typer.Exit(1)


@app.command()
def status(
    ports: Annotated[
        list[str] | None,
        typer.Argument(help="设备;缺省问端口进程 / devices; else the port process is asked"),
    ] = None,
    speed: Speed = 115200,
    rtscts: Flow = True,
    socket: Annotated[Path, typer.Option(help="端口进程的套接字 / its socket")] = SOCKET,
    as_json: AsJson = False,
) -> None:
    """各调制解调器正在做什么,或能否使用 / what the modems do, or whether they can be used."""
    if not ports:
        _board(socket, as_json)
        return
    lines = run_async(_status([_port(port, speed, rtscts) for port in ports]))
    rows = [
        [str(one["port"]), "可用 / ready" if one["ready"] else "不可用 / away", shown(one["why"])]
        for one in lines
    ]
    emit(as_json, {"modems": lines}, table(rows))
    if not all(one["ready"] for one in lines):
        raise typer.Exit(1)


def _board(socket: Path, as_json: bool) -> None:
    """Exit status 1 where no modem can be used."""
    try:
        answer = run_async(question(socket, "list"))
    except NoAnswer as error:
        raise CommandError(str(error)) from error
    boards = [one["board"] for one in answer["gateways"] if "board" in one]
    emit(as_json, {"boards": boards}, board_words(boards))
    lost = ("held", "unplugged", "away")
    if all(modem["state"] in lost for board in boards for modem in board["modems"]):
        raise typer.Exit(1)


async def _status(ports: list[PortSettings]) -> list[dict[str, object]]:
    async def look(settings: PortSettings) -> dict[str, object]:
        try:
            known = await _probe(settings)
        except CommandError as away:
            return {"port": settings.name, "ready": False, "why": str(away)}
        words = f"Class {known.fax_class}, {known.model.name}"
        ready = bool(known.fax_class)
        return {"port": settings.name, "ready": ready, "why": words if ready else "无传真 / no fax"}

    return list(await asyncio.gather(*map(look, ports)))


@app.command()
def trace(
    file: Annotated[Path, typer.Argument(help="字节记录 / a byte trace")], as_json: AsJson = False
) -> None:
    """把字节记录读成对话 / a byte trace as commands and frames."""
    try:
        said = list(words_of(read_trace(file)))
    except (OSError, TraceError) as error:
        raise CommandError(f"{file}: 无法读取 / cannot be read: {error}") from error
    first = said[0].at if said else None
    rows = [
        [f"{(one.at - first).total_seconds():9.3f}" if first else "", one.way, shown(one.words)]
        for one in said
    ]
    lines = [{"at": one.at.isoformat(), "way": one.way, "words": one.words} for one in said]
    emit(as_json, {"said": lines}, table(rows))


def _port(name: str, speed: int, rtscts: bool) -> PortSettings:
    """A pty has no modem lines, and does not mind being told of them."""
    return PortSettings(name=name, rate=speed, rtscts=rtscts and not name.startswith("/dev/pts/"))


def _pages(file: Path) -> tuple[Page, ...]:
    try:
        pages = read_tiff(file)
    except (OSError, PageError) as error:
        raise CommandError(f"{file}: {error}") from error
    if not pages:
        raise CommandError(f"{file}: 没有页面 / no pages")
    return pages


def _check(number: str, identity: str) -> None:
    if not NUMBER.fullmatch(number):
        raise CommandError(f"{number!r}: 只能拨数字、*、#、逗号 / only digits, *, # and comma")
    try:
        encode_identity(identity)
    except ValueError as wrong:
        raise CommandError(str(wrong)) from wrong


def _wait_ready(line: FaxLine) -> None:
    until = time.monotonic() + READY_SECONDS
    tries = ""
    while time.monotonic() < until:
        state, why = line.state
        if state is LineState.READY:
            return
        if state.lost and why != tries:
            tries = why
        time.sleep(LOOK_SECONDS / 4)
    raise CommandError(f"{line.port.name}: 不可用 / cannot be used: {tries}")


def _result_of(sent: Future[Outcome], progress: Progress) -> Outcome:
    while True:
        try:
            return sent.result(LOOK_SECONDS)
        except TimeoutError:
            progress.show()
        except ValueError as wrong:
            raise CommandError(str(wrong)) from wrong


def _next_call(inbox: Queue[Received], wait: float, line: FaxLine) -> Received:
    until = time.monotonic() + wait
    while True:
        try:
            return inbox.get(timeout=LOOK_SECONDS)
        except Empty:
            waiting = line.state[0] is not LineState.RECEIVING
            if waiting and time.monotonic() > until:
                raise CommandError("没有来电 / no call came in") from None


class Progress:
    """Page, speed, coding and ECM of the call under way, on a terminal's one line."""

    def __init__(self, pages: int, say: Callable[[str], object] = sys.stderr.write) -> None:
        self._pages = pages
        self._say = say
        self._chosen: Chosen | None = None
        self._started: tuple[float, PageStarted] | None = None
        self._words = ""

    def seen(self, item: Report | FrameSeen) -> None:
        """Called in the line's thread."""
        match item:
            case Agreed(chosen, _):
                self._chosen = chosen
            case PageStarted():
                self._started = (time.monotonic(), item)
            case PageConfirmed(page):
                self._started = None
                self._words = f"第 {page} 页已确认 / page {page} confirmed"
            case PageAgain(page, why):
                self._words = f"第 {page} 页重发 / page {page} again: {why}"
            case Ended() | FrameSeen():
                pass

    def words(self, now: float) -> str:
        """What the line shows."""
        chosen, started = self._chosen, self._started
        if chosen is None:
            return "拨号 / dialling"
        how = f"{chosen.rate.bps} bit/s {chosen.coding}{' ECM' if chosen.ecm else ''}"
        if started is None:
            return f"{self._words or '协商 / training'}  {how}"
        began, page = started
        share = min(1.0, (now - began) * chosen.rate.bps / 8 / max(1, page.octets))
        bar = "#" * round(20 * share)
        return f"{page.page}/{self._pages} [{bar:<20}] {100 * share:3.0f} %  {how}"

    def show(self) -> None:
        """Draw it, where somebody looks."""
        if sys.stderr.isatty():
            self._say(f"\r\x1b[K{self.words(time.monotonic())}")
            sys.stderr.flush()


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """An outcome for programs."""
    document = asdict(outcome)
    chosen = outcome.chosen
    document["chosen"] = None if chosen is None else {
        "bps": chosen.rate.bps, "modulation": chosen.rate.modulation, "ecm": chosen.ecm,
        "coding": str(chosen.coding), "fine": chosen.fine,
    }  # fmt: skip
    return document


_RESULTS: Final = {
    Result.DELIVERED: "已送达(对方逐页确认) / delivered, each page confirmed",
    Result.UNCONFIRMED: "已发出但未确认,对方可能已收到 / sent but not confirmed",
    Result.NOT_DELIVERED: "未送达 / not delivered",
}


def outcome_words(outcome: Outcome, pages: int) -> str:
    """An outcome for people."""
    words = f"{_RESULTS[outcome.result]}: {outcome.cause}, {outcome.pages}/{pages} 页 / pages"
    if outcome.far_id:
        words += f", 对方 / far end {shown(outcome.far_id)}"
    if outcome.may_have_copies:
        words += "\n对方可能已打印未确认的页面 / the far end may hold unconfirmed pages"
    return words
