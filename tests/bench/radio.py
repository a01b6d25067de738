"""Radio benches: `radio.order_to_wire_ms`, `radio.ack_to_event_ms`, `radio.babble_cpu`,
`radio.codec_over_line`. The radios are emulated on pseudo-terminals by a process of their own.
"""

from __future__ import annotations

import asyncio
import dataclasses
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bridge.channels.ports_client import PortsClient
from hardware.at import AtDialect, AtDialogue, Unsolicited
from hardware.gateways import read_gateways
from hardware.port import PortSettings
from hardware.ports.journal import Journal
from hardware.ports.process import PortProcess
from hardware.ports.server import PortServer
from hardware.radio import map27_net as net
from hardware.radio.dialect import PeiDialect, load
from hardware.radio.events import Health, RadioEvent, StatusIn
from hardware.radio.map27_frame import FrameDecoder, encode_frame
from hardware.radio.outstanding import Outstanding
from hardware.radio.pei_calls import PeiCalls
from hardware.radio.pei_receive import PeiReceiver
from hardware.radio.tetra_pei import UNSOLICITED, TetraPei
from hardware.rig.air import Air
from hardware.rig.pei_terminal import Behaviour, PeiTerminal
from hardware.rig.pty import PtyEnd
from hardware.serial_link import SerialLink

PORTS: Final = 16
ORDERS: Final = 300
ACKS: Final = 500
BABBLE_S: Final = 6.0
BABBLE_RATE: Final = 9600
LINE_BYTES_S: Final = 115_200 / 10
CODEC_BYTES: Final = 6_000_000

Record = dict[str, Any]


def _line(
    name: str, value: float, unit: str, worst: float, n: int, load: str, baseline: float | None
) -> Record:
    versions = {"python": platform.python_version(), "kernel": platform.release()}
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "baseline": baseline,
        "worst": round(worst, 4),
        "n": n,
        "load": load,
        "versions": versions,
    }


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


@dataclasses.dataclass
class _Radio:
    pty: PtyEnd
    terminal: PeiTerminal
    heard_at: list[float]


@asynccontextmanager
async def _radios(folder: Path) -> AsyncIterator[list[_Radio]]:
    """PORTS terminals; each notes when the first octet of a message command arrives."""
    radios: list[_Radio] = []
    loop = asyncio.get_running_loop()

    def make(number: int) -> _Radio:
        heard: list[float] = []

        def take(data: bytes) -> None:
            if b"AT+CMGS" in data:
                heard.append(loop.time())
            terminal.feed(data)

        pty = PtyEnd(take, random.Random(number))
        terminal = PeiTerminal(pty.write, Air(), Behaviour(sent_s=0.0))
        pty.link(folder / f"radio-{number}")
        return _Radio(pty, terminal, heard)

    try:
        radios.extend(make(n) for n in range(PORTS))
        yield radios
    finally:
        for radio in radios:
            radio.terminal.close()
            radio.pty.close()


async def _order_to_wire() -> Record:
    """From the daemon's client handing the order over (journal sync included) to the pty."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entries = [
            f'[radio-{n}]\ndriver = "tetra-pei"\nport = "{folder}/radio-{n}"\n'
            for n in range(PORTS)
        ]
        (folder / "gateways.toml").write_text("".join(entries))
        async with _radios(folder) as radios:
            process = PortProcess(
                read_gateways(folder / "gateways.toml"),
                Journal(folder / "ports.journal"),
                rng=random.Random(1),
                now=lambda: datetime.now(UTC),
            )
            await process.open()
            server = PortServer(process, folder / "ports.sock")

            async def keep(body: object, seq: int) -> None:
                return

            client = PortsClient(folder / "ports.sock", keep)
            stop = asyncio.Event()
            took: list[float] = []
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(process.run(stop))
                tasks.create_task(server.run(stop))
                running = tasks.create_task(client.run())
                while not all(driver.health.usable for driver in process.drivers.values()):
                    await asyncio.sleep(0.05)
                loop = asyncio.get_running_loop()
                radio = radios[0]
                for number in range(ORDERS):
                    count = len(radio.heard_at)
                    began = loop.time()
                    await client.submit(
                        {
                            "key": f"o{number}",
                            "channel": "radio",
                            "address": str(1000 + number),
                            "text": "出警：中山路12号",
                        }
                    )
                    while len(radio.heard_at) == count:
                        await asyncio.sleep(0.0005)
                    took.append((radio.heard_at[count] - began) * 1000)
                    await asyncio.sleep(0.03)
                running.cancel()
                stop.set()
    load_words = f"{PORTS} ports open, journal synced"
    return _line("radio.order_to_wire_ms", _p99(took), "ms", max(took), len(took), load_words, None)


async def _ack_to_event() -> Record:
    """From the last octet of a status on the line to the driver's event, 16 ports open."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dialect = load("tetra-standard", PeiDialect)
        got = asyncio.Event()
        ready = [0]

        def hear(event: RadioEvent) -> None:
            if isinstance(event, StatusIn):
                got.set()
            elif isinstance(event, Health) and event.usable:
                ready[0] += 1

        took: list[float] = []
        async with _radios(folder) as radios:
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                for n in range(PORTS):
                    settings = PortSettings(name=str(folder / f"radio-{n}"))
                    driver = TetraPei(settings, dialect, emit=hear, rng=random.Random(n))
                    tasks.create_task(driver.run(stop))
                while ready[0] < PORTS:
                    await asyncio.sleep(0.05)
                rng = random.Random(5)
                for n in range(ACKS):
                    got.clear()
                    began = time.perf_counter()
                    radios[n % PORTS].terminal.status_from(str(2000 + n), 0x8002)
                    await got.wait()
                    took.append((time.perf_counter() - began) * 1000)
                    await asyncio.sleep(rng.random() * 0.02)
                stop.set()
    load_words = f"{PORTS} ports open"
    return _line("radio.ack_to_event_ms", _p99(took), "ms", max(took), len(took), load_words, None)


BABBLER: Final = """
import os, sys, time, tty
ends = []
for _ in range({ports}):
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    os.set_blocking(master, False)
    ends.append((master, slave))
print(" ".join(os.ttyname(slave) for _, slave in ends), flush=True)
sys.stdin.readline()
line = b"\\r\\n+CTSDSR: 13,2269001,0,9001,0,16\\r\\n8002\\r\\n"
step, at = 0.005, time.monotonic()
position = 0
owed = 0.0
while True:
    owed += {rate} / 10 * step
    count, owed = int(owed), owed % 1
    data = (line * 4)[position : position + count]
    position = (position + count) % len(line)
    for master, _ in ends:
        try:
            os.write(master, data)
        except BlockingIOError:
            pass
    at += step
    time.sleep(max(0, at - time.monotonic()))
"""


async def _babble() -> Record:
    """CPU time of this process while every port receives statuses without a pause."""
    code = BABBLER.format(ports=PORTS, rate=BABBLE_RATE)
    babbler = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert babbler.stdin is not None
    assert babbler.stdout is not None
    heard = 0
    try:
        names = babbler.stdout.readline().split()
        stop = asyncio.Event()
        links: list[SerialLink] = []
        loop = asyncio.get_running_loop()
        for name in names:
            dialogue = AtDialogue(AtDialect(unsolicited=UNSOLICITED))
            receiver = PeiReceiver(
                PeiDialect(words="bench"), Outstanding(random.Random(1)), PeiCalls()
            )

            def take(
                data: bytes, dialogue: AtDialogue = dialogue, receiver: PeiReceiver = receiver
            ) -> None:
                nonlocal heard
                now = loop.time()
                for output in dialogue.feed(data, now):
                    if isinstance(output, Unsolicited):
                        heard += len(receiver.line(output, now).events)

            links.append(
                SerialLink(
                    PortSettings(name=name, rate=BABBLE_RATE), on_data=take, rng=random.Random(1)
                )
            )
        async with asyncio.TaskGroup() as tasks:
            for link in links:
                tasks.create_task(link.run(stop))
            for link in links:
                await link.wait_up()
            babbler.stdin.write("go\n")
            babbler.stdin.flush()
            await asyncio.sleep(1)
            shares: list[float] = []
            for _ in range(3):
                cpu, wall = time.process_time(), time.perf_counter()
                await asyncio.sleep(BABBLE_S / 3)
                shares.append((time.process_time() - cpu) / (time.perf_counter() - wall))
            stop.set()
    finally:
        babbler.kill()
        babbler.wait()
    received = sum(link.bytes_in for link in links)
    expected = PORTS * BABBLE_RATE / 10 * BABBLE_S
    words = f"{PORTS} ports, {BABBLE_RATE} bit/s each, {received} octets, {heard} statuses read"
    if received < expected * 0.8:
        raise RuntimeError(f"only {received} of about {expected:.0f} octets came: no measurement")
    share = sorted(shares)[1]
    return _line("radio.babble_cpu", share, "of a core", max(shares), received, words, None)


def _pei_rate(total: int) -> float:
    """Octets a second of one core through the AT dialogue, the SDS codec and the receiver."""
    line = b"\r\n+CTSDSR: 12,2269001,0,1001,0,80\r\n82040A1A5DF252308FBE\r\n"
    data = line * (total // len(line))
    dialogue = AtDialogue(AtDialect(unsolicited=UNSOLICITED))
    receiver = PeiReceiver(
        PeiDialect(words="bench", repeat_window_s=0.0), Outstanding(random.Random(1)), PeiCalls()
    )
    began, count = time.process_time(), 0
    for at in range(0, len(data), 115):
        for output in dialogue.feed(data[at : at + 115], 0.0):
            if isinstance(output, Unsolicited):
                count += len(receiver.line(output, float(count)).events)
    seconds = time.process_time() - began
    if count != total // len(line):
        raise RuntimeError(f"{count} texts read of {total // len(line)}")
    return len(data) / seconds


def _map27_rate(total: int) -> float:
    """Octets a second of one core through frames and messages."""
    status = net.encode(net.Status(net.Address(31, 2001), 16))
    frame = encode_frame(b"\x04\x01\x01\x00" + status)
    data = frame * (total // len(frame))
    decoder = FrameDecoder()
    began, count = time.process_time(), 0
    for at in range(0, len(data), 115):
        for body in decoder.feed(data[at : at + 115]):
            count += isinstance(net.decode(body[4:]), net.Status)
    seconds = time.process_time() - began
    if count != total // len(frame):
        raise RuntimeError(f"{count} frames read of {total // len(frame)}")
    return len(data) / seconds


def codec_over_line() -> Record:
    """The slower codec as a multiple of a line of 115 200 bit/s."""
    slices = [min(_pei_rate(CODEC_BYTES // 6), _map27_rate(CODEC_BYTES // 6)) for _ in range(3)]
    ratios = sorted(rate / LINE_BYTES_S for rate in slices)
    words = "texts by PEI, status frames by MAP27, in reads of 10 ms"
    return _line("radio.codec_over_line", ratios[1], "× line", ratios[0], 3, words, LINE_BYTES_S)


def _async(work: Any) -> Record:
    return asyncio.run(work())


BENCHES: Final = {
    "radio.order_to_wire_ms": lambda: _async(_order_to_wire),
    "radio.ack_to_event_ms": lambda: _async(_ack_to_event),
    "radio.babble_cpu": lambda: _async(_babble),
    "radio.codec_over_line": codec_over_line,
}
