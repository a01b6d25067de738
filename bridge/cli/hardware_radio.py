"""`bridge110 hardware probe, monitor, send, emulate, capture, replay, selftest`: radio gateways."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bridge.cli.output import AsJson, CommandError, emit, run_async, shown, table, tell
from hardware.gateways import DRIVERS, Gateway, GatewayError, MessageDriver, build, read_gateways
from hardware.port import PortError, PortSettings
from hardware.port_name import PortNameError, check_name
from hardware.radio.events import Delivery, RadioEvent, RadioRefused, Stage
from hardware.radio.line_keyed import LineKeyed, LinesError, Wiring
from hardware.radio.map27 import Map27
from hardware.radio.tetra_pei import TetraPei
from hardware.rig.air import Air
from hardware.rig.line_box import LineBox
from hardware.rig.map27_unit import Map27Unit
from hardware.rig.map27_unit import Ways as Map27Ways
from hardware.rig.pei_terminal import Behaviour, PeiTerminal
from hardware.rig.pty import PtyEnd
from hardware.rig.replay import replay as replayed
from hardware.rig.script import Script, ScriptError
from hardware.rig.selftest import BoxObserver, CrossObserver, selftest
from hardware.rig.sms_modem import SmsModemRig
from hardware.rig.sms_modem import Ways as SmsWays
from hardware.serial_link import SerialLink
from hardware.trace import Trace, TraceError, read_trace

PROBE_S: Final = 10.0
_OVER: Final = (Stage.FAILED, Stage.READ)
_DEFINITE: Final = ("未登记", "无网络")
"""Beginnings of a state that more waiting would hardly change."""

Driver = Annotated[str, typer.Option("--driver", help=" | ".join(DRIVERS))]
Port = Annotated[str, typer.Option("--port", help="设备 / device, rfc2217://host:port …")]
Model = Annotated[str, typer.Option("--model", help="型号文件 / a model, or a path to one")]
Rate = Annotated[int, typer.Option("--rate", help="速率,0 为型号缺省 / bit/s, 0: the model's")]
Seconds = Annotated[float, typer.Option("--seconds", help="时长,0 不限 / how long, 0: no end")]
TraceFile = Annotated[Path | None, typer.Option("--trace", help="记录字节 / write every byte to")]


def register(app: typer.Typer) -> None:
    """Add these commands to `bridge110 hardware`."""
    for name, command in (
        ("probe", probe),
        ("monitor", monitor),
        ("send", send),
        ("emulate", emulate),
        ("capture", capture),
        ("selftest", self_test),
    ):
        app.command(name)(command)


def _gateway(driver: str, port: str, model: str, rate: int) -> Gateway:
    try:
        if not port.startswith(("hidraw:", "udp://")):
            check_name(port)
    except PortNameError as error:
        raise CommandError(str(error)) from error
    text = f"[one]\ndriver = {json.dumps(driver)}\nport = {json.dumps(port)}\n"
    text += f"model = {json.dumps(model)}\n" if model else ""
    text += "own = 1\n" if driver == "hytera" else ""
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        try:
            (found,) = read_gateways(Path(file.name))
        except GatewayError as error:
            raise CommandError(str(error).partition(": ")[2]) from error
    return replace(found, port=replace(found.port, rate=rate)) if rate else found


@asynccontextmanager
async def _running(
    gateway: Gateway, on_event: Callable[[RadioEvent], None], trace: Path | None
) -> AsyncIterator[MessageDriver | LineKeyed]:
    writer = None if trace is None else Trace(trace, lambda: datetime.now(UTC))
    driver = build(gateway, emit=on_event, rng=random.SystemRandom(), trace=writer)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(driver.run(stop))
        if writer is not None:
            tasks.create_task(writer.run(stop))
        try:
            yield driver
        finally:
            stop.set()


async def _usable(driver: MessageDriver | LineKeyed, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                if driver.health.usable or driver.health.words.startswith(_DEFINITE):
                    break
                await asyncio.sleep(0.02)
    return driver.health.usable


def probe(
    port: Port,
    driver: Driver = "tetra-pei",
    model: Model = "",
    rate: Rate = 0,
    trace: TraceFile = None,
    as_json: AsJson = False,
) -> None:
    """网关是否应答、是否登记 / does a gateway answer, and is it registered."""
    gateway = _gateway(driver, port, model, rate)

    async def work() -> MessageDriver | LineKeyed:
        async with _running(gateway, lambda _: None, trace) as made:
            await _usable(made, PROBE_S)
            return made

    health = run_async(work()).health
    document = {"port": port, "driver": driver, "model": gateway.model, **asdict(health)}
    emit(as_json, document, f"{'✔' if health.usable else '✘'} {health.words}")
    if not health.usable:
        raise typer.Exit(1)


def monitor(
    port: Port,
    driver: Driver = "tetra-pei",
    model: Model = "",
    rate: Rate = 0,
    seconds: Seconds = 0,
    trace: TraceFile = None,
    as_json: AsJson = False,
) -> None:
    """显示网关收到的一切 / show everything a gateway tells."""
    gateway = _gateway(driver, port, model, rate)

    async def work() -> None:
        async with _running(gateway, lambda event: _show(event, as_json), trace):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds or None):
                    await asyncio.Event().wait()

    run_async(work())


def _show(event: RadioEvent, as_json: bool) -> None:
    document: dict[str, Any] = {"event": type(event).__name__, **asdict(event)}
    if isinstance(document.get("data"), bytes):
        document["data"] = document["data"].hex()
    words = " ".join(
        f"{key}={shown(value)}" for key, value in document.items() if value not in ("", None)
    )
    typer.echo(json.dumps(document, ensure_ascii=False) if as_json else words)
    sys.stdout.flush()


def send(
    port: Port,
    to: Annotated[str, typer.Option("--to", help="SSI、31/2001、号码 / address")],
    text: Annotated[str, typer.Option("--text", help="短信 / a text")] = "",
    status: Annotated[int, typer.Option("--status", help="状态码 / a status number")] = -1,
    driver: Driver = "tetra-pei",
    model: Model = "",
    rate: Rate = 0,
    seconds: Seconds = 30,
    urgent: Annotated[bool, typer.Option("--urgent", help="紧急 / at once, pops up")] = False,
    trace: TraceFile = None,
    as_json: AsJson = False,
) -> None:
    """发送一条短信或状态并等回执 / send one text or status and wait for its reports."""
    gateway = _gateway(driver, port, model, rate)
    told: list[Delivery] = []
    over = asyncio.Event()
    best = status >= 0 or driver != "tetra-pei"

    def heard(event: RadioEvent) -> None:
        if isinstance(event, Delivery):
            told.append(event)
            tell(" ".join(filter(None, (str(event.stage), str(event.why or ""), event.detail))))
            if event.stage in _OVER or (best and event.stage is Stage.DELIVERED):
                over.set()

    async def work() -> None:
        async with _running(gateway, heard, trace) as made:
            if isinstance(made, LineKeyed):
                raise CommandError("line-keyed: 不能发送文本 / carries no text")
            await _usable(made, PROBE_S)
            try:
                if status >= 0 and isinstance(made, TetraPei | Map27):
                    made.send_status("cli", to, status, urgent=urgent)
                else:
                    made.send_text("cli", to, text, urgent=urgent)
            except RadioRefused as refused:
                raise CommandError(f"{refused.why}: {refused}") from refused
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds or None):
                    await over.wait()

    try:
        run_async(work())
    except* CommandError as errors:
        raise errors.exceptions[0] from errors
    stages = [str(one.stage) for one in told]
    emit(as_json, {"to": to, "stages": stages}, " → ".join(stages) or "未发出 / nothing went out")
    if not stages or stages[-1] in ("failed", "sending", "queued", "unknown"):
        raise typer.Exit(1)


def emulate(
    kind: Annotated[str, typer.Argument(help="pei | map27 | sms | box")],
    link: Annotated[
        Path | None, typer.Option("--link", help="固定名称 / a name that stays")
    ] = None,
    tcp: Annotated[int, typer.Option("--tcp", help="box 的端口 / port of the box")] = 5190,
    seconds: Seconds = 0,
    as_json: AsJson = False,
) -> None:
    """模拟设备,标准输入为脚本 / play a device; standard input is its script."""
    if kind not in ("pei", "map27", "sms", "box"):
        raise CommandError(f"{kind}: pei | map27 | sms | box")
    run_async(_emulate(kind, link, tcp, seconds, as_json))


async def _emulate(kind: str, link: Path | None, tcp: int, seconds: float, as_json: bool) -> None:
    rng, air = random.Random(), Air()  # noqa: S311  noise of a played line
    if kind == "box":
        box = LineBox(rng, echo=True)
        try:
            await box.open(tcp)
        except OSError as error:
            raise CommandError(f"--tcp {tcp}: {error}") from error
        script, name = Script(box), box.url
    else:
        pty = PtyEnd(lambda data: made.feed(data), rng)
        made: PeiTerminal | Map27Unit | SmsModemRig
        if kind == "pei":
            made = PeiTerminal(pty.write, air, Behaviour())
        elif kind == "map27":
            made = Map27Unit(pty.write, air, Map27Ways())
        else:
            made = SmsModemRig(pty.write, air, lambda: datetime.now(UTC), SmsWays())
        if link is not None:
            pty.link(link)
        script, name = Script(made, pty, air), str(link or pty.name)
    emit(as_json, {"device": name, "kind": kind}, f"{kind}: {name}")
    sys.stdout.flush()
    reading = asyncio.ensure_future(_script(script))
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds or None):
                await asyncio.Event().wait()
    finally:
        reading.cancel()
        if script.pty is not None:
            script.pty.close()
        if isinstance(script.device, LineBox):
            await script.device.close()
        else:
            script.device.close()


async def _script(script: Script) -> None:
    """Lines of standard input, while there is one."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    except (ValueError, OSError):
        return
    while line := await reader.readline():
        try:
            script.line(line.decode("utf-8", "replace"))
        except ScriptError as error:
            tell(str(error))


def capture(
    port: Port,
    to: Annotated[Path, typer.Option("--to", help="记录文件 / file to write")],
    rate: Rate = 9600,
    seconds: Seconds = 0,
    as_json: AsJson = False,
) -> None:
    """只听并记录字节 / listen and write every byte, saying nothing."""

    async def work() -> SerialLink:
        trace = Trace(to, lambda: datetime.now(UTC))
        downs: list[str] = []
        link = SerialLink(
            PortSettings(name=port, rate=rate or 9600),
            on_data=lambda _: None,
            on_down=downs.append,
            rng=random.SystemRandom(),
            trace=trace,
        )
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(link.run(stop))
            tasks.create_task(trace.run(stop))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds or None):
                    await asyncio.Event().wait()
            stop.set()
        if not link.opens:
            raise CommandError(downs[0] if downs else port)
        return link

    link = run_async(work())
    emit(as_json, {"file": str(to), "bytes": link.bytes_in}, f"{to}: {link.bytes_in} 字节 / bytes")


def replay(file: Path, driver: str, as_json: bool) -> None:
    """What a recorded line said, without any device. Raises CommandError."""
    try:
        lines = list(replayed(driver, read_trace(file)))
    except (OSError, TraceError, ValueError) as error:
        raise CommandError(f"{file}: {error}") from error
    documents = [{"at": at.isoformat(), "way": way, "words": words} for at, way, words in lines]
    rows = [[at.strftime("%H:%M:%S.%f")[:-3], way, shown(words)] for at, way, words in lines]
    emit(as_json, {"events": documents}, table(rows) or "空 / empty")


def self_test(
    port: Annotated[
        str, typer.Option("--port", help="被测串口,空为内置盒 / port; none: our box")
    ] = "",
    watch: Annotated[
        str, typer.Option("--watch", help="交叉线另一端 / other end of the cross")
    ] = "",
    ptt: Annotated[str, typer.Option("--ptt", help="RTS, RTS!DTR …")] = "RTS",
    as_json: AsJson = False,
) -> None:
    """测量打开脉冲、提前量与限时器 / measure open pulse, lead-in and time-out timer."""
    if bool(port) != bool(watch):
        raise CommandError("--port 与 --watch 须同时给出 / give both, or neither for our own box")
    try:
        wiring = Wiring(ptt)
        report = run_async(_selftest(port, watch, wiring))
    except (LinesError, PortError) as error:
        raise CommandError(str(error)) from error
    documents = [asdict(one) for one in report]
    marks = {True: "✔", False: "✘", None: " "}
    rows = [[marks[f.good], f.name, f"{f.value:.1f} {f.unit}", f.words] for f in report]
    emit(as_json, {"report": documents}, table(rows))
    if any(one.good is False for one in report):
        raise typer.Exit(1)


async def _selftest(port: str, watch: str, wiring: Wiring) -> list[Any]:
    rng = random.SystemRandom()
    if not port:
        box = LineBox(rng)
        await box.open()
        try:
            return list(
                await selftest(PortSettings(name=box.url), wiring, BoxObserver(box, wiring), rng)
            )
        finally:
            await box.close()
    link = SerialLink(PortSettings(name=watch), on_data=lambda _: None, rng=rng)
    stop = asyncio.Event()
    observer = CrossObserver(link, wiring)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(link.run(stop))
        async with asyncio.timeout(PROBE_S):
            await link.wait_up()
        looking = tasks.create_task(observer.watch())
        try:
            return list(await selftest(PortSettings(name=port), wiring, observer, rng))
        finally:
            looking.cancel()
            stop.set()
