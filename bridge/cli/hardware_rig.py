"""`bridge110 hardware emulate, replay, selftest`: devices played, traces read, lines measured."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from bridge.cli.hardware_radio import Seconds
from bridge.cli.output import AsJson, CommandError, emit, run_async, shown, table, tell
from hardware.port import PortError, PortSettings
from hardware.port_name import PortNameError, check_name
from hardware.radio.line_keyed import LinesError, Wiring
from hardware.rig.air import Air
from hardware.rig.line_box import LineBox
from hardware.rig.map27_unit import Map27Unit
from hardware.rig.map27_unit import Ways as Map27Ways
from hardware.rig.pei_terminal import Behaviour, PeiTerminal
from hardware.rig.pty import PtyEnd
from hardware.rig.replay import replay as replayed
from hardware.rig.script import Script, ScriptError
from hardware.rig.selftest import BoxObserver, Finding, across, selftest
from hardware.rig.sms_modem import SmsModemRig
from hardware.rig.sms_modem import Ways as SmsWays
from hardware.trace import TraceError, read_trace

KINDS: Final = ("pei", "map27", "sms", "box")


def register(app: typer.Typer) -> None:
    """Add these commands to `bridge110 hardware`."""
    app.command()(emulate)
    app.command("selftest")(self_test)


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
    if kind not in KINDS:
        raise CommandError(f"{kind}: {' | '.join(KINDS)}")
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
        for name in filter(None, (port, watch)):
            check_name(name)
        report = run_async(_selftest(port, watch, Wiring(ptt)))
    except (LinesError, PortError, PortNameError) as error:
        raise CommandError(str(error)) from error
    documents = [asdict(one) for one in report]
    marks = {True: "✔", False: "✘", None: " "}
    rows = [[marks[f.good], f.name, f"{f.value:.1f} {f.unit}", f.words] for f in report]
    emit(as_json, {"report": documents}, table(rows))
    if any(one.good is False for one in report):
        raise typer.Exit(1)


async def _selftest(port: str, watch: str, wiring: Wiring) -> list[Finding]:
    rng = random.SystemRandom()
    if port:
        return await across(PortSettings(name=port), PortSettings(name=watch), wiring, rng)
    box = LineBox(rng)
    await box.open()
    try:
        return await selftest(PortSettings(name=box.url), wiring, BoxObserver(box, wiring), rng)
    finally:
        await box.close()
