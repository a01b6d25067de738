"""`bridge110 hardware probe, monitor, send, capture`: one gateway by hand."""

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

from bridge.cli.output import AsJson, CommandError, emit, json_text, run_async, shown, tell
from hardware.gateways import DRIVERS, Gateway, GatewayError, MessageDriver, build, read_gateways
from hardware.port import PortSettings
from hardware.port_name import PortNameError, check_name
from hardware.radio.events import Delivery, RadioEvent, RadioRefused, Stage
from hardware.radio.line_keyed import LineKeyed
from hardware.radio.map27 import Map27
from hardware.radio.tetra_pei import TetraPei
from hardware.serial_link import SerialLink
from hardware.trace import Trace

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
        ("capture", capture),
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
    typer.echo(json_text(document, indent=None) if as_json else words)
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
