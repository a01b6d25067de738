"""One owner a port: order, loss, return, exclusiveness and trace, on real pseudo-terminals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hardware.port import NoModemLines, PortError, PortGone, PortSettings, open_port
from hardware.port_name import Device as Plugged
from hardware.port_name import PortNameError, judge
from hardware.serial_link import LinkBusy, LinkDown, SerialLink
from hardware.trace import Trace, Traced, read_trace
from tests.hardware.pty_kit import device, link_to, running, until

BACKENDS = ("pyserial", "serialx")


@pytest.mark.parametrize("backend", BACKENDS)
async def test_bytes_go_both_ways_in_order(backend: str) -> None:
    got = bytearray()
    async with device() as radio:
        link = link_to(radio.name, got.extend, backend=backend)
        async with running(link):
            await asyncio.gather(*(link.write(b"%03d " % n) for n in range(50)))
            await radio.wait_heard(b"049 ")
            assert bytes(radio.heard) == b"".join(b"%03d " % n for n in range(50))
            for value in range(256):
                radio.say(bytes([value]))
            await until(lambda: len(got) == 256)
    assert bytes(got) == bytes(range(256))
    assert (link.bytes_in, link.bytes_out) == (256, 200)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_second_program_is_refused_the_port(backend: str) -> None:
    async with device() as radio:
        link = link_to(radio.name, lambda _: None, backend=backend)
        async with running(link):
            for other in BACKENDS:
                with pytest.raises(PortGone):
                    await open_port(PortSettings(name=radio.name, backend=other))  # type: ignore[arg-type]
        again = await open_port(PortSettings(name=radio.name))
        await again.close()


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_pulled_cable_is_told_and_the_port_opened_again(
    backend: str, tmp_path: Path
) -> None:
    name = tmp_path / "radio-1"
    downs: list[str] = []
    ups: list[int] = []
    async with device() as first, device() as second:
        name.symlink_to(first.name)
        link = SerialLink(
            PortSettings(name=str(name), backend=backend),  # type: ignore[arg-type]
            on_data=lambda _: None,
            rng=random.Random(2),
            on_up=lambda: ups.append(1),
            on_down=downs.append,
        )
        async with running(link):
            name.unlink()
            first.pull()
            await until(lambda: bool(downs))
            with pytest.raises(LinkDown) as refused:
                await link.write(b"lost")
            assert not refused.value.begun
            name.symlink_to(second.name)
            await until(lambda: len(ups) == 2)
            await link.write(b"back")
            await second.wait_heard(b"back")
    assert downs
    assert link.opens == 2


async def test_a_write_that_had_begun_ends_as_unknown() -> None:
    async with device() as radio:
        link = link_to(radio.name, lambda _: None)
        async with running(link):
            radio.deaf()
            begun = asyncio.ensure_future(link.write(bytes(1_000_000)))
            behind = asyncio.ensure_future(link.write(b"never started"))
            await asyncio.sleep(0.05)
            radio.pull()
            ends = await asyncio.gather(begun, behind, return_exceptions=True)
    assert [isinstance(end, LinkDown) and end.begun for end in ends] == [True, False]


async def test_a_line_held_by_flow_control_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hardware.serial_link.WRITE_GRACE", 0.2)
    downs: list[str] = []
    async with device() as radio:
        settings = PortSettings(name=radio.name, rate=10_000_000)
        link = SerialLink(
            settings, on_data=lambda _: None, rng=random.Random(3), on_down=downs.append
        )
        async with running(link):
            radio.deaf()
            with pytest.raises(LinkDown):
                await link.write(bytes(200_000))
            await until(lambda: bool(downs))
    assert "not taken" in downs[0]


async def test_the_queue_of_writes_is_bounded() -> None:
    async with device() as radio:
        link = link_to(radio.name, lambda _: None)
        async with running(link):
            radio.deaf()
            writes = [asyncio.ensure_future(link.write(bytes(100_000))) for _ in range(70)]
            await asyncio.sleep(0.05)
            radio.pull()
            ends = await asyncio.gather(*writes, return_exceptions=True)
    refused = [end for end in ends if isinstance(end, LinkBusy)]
    assert 1 <= len(refused) <= 6
    assert sum(isinstance(end, LinkDown) for end in ends) == 70 - len(refused)


async def test_a_cancelled_write_that_waits_is_not_sent() -> None:
    async with device() as radio:
        link = link_to(radio.name, lambda _: None)
        async with running(link):
            first = asyncio.ensure_future(link.write(b"first "))
            second = asyncio.ensure_future(link.write(b"second "))
            await asyncio.sleep(0)
            second.cancel()
            await first
            await link.write(b"third")
            await radio.wait_heard(b"third")
    assert bytes(radio.heard) == b"first third"


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_pseudo_terminal_says_that_it_has_no_modem_lines(backend: str) -> None:
    async with device() as radio:
        link = link_to(radio.name, lambda _: None, backend=backend)
        async with running(link):
            with pytest.raises(NoModemLines):
                await link.lines()
            with pytest.raises(NoModemLines):
                await link.set_lines(rts=True)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_plain_socket_is_a_port_without_modem_lines(backend: str) -> None:
    got = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        link = link_to(f"socket://127.0.0.1:{port}", got.extend, backend=backend)
        async with running(link):
            await link.write(b"hello")
            await until(lambda: bytes(got) == b"HELLO")
            with pytest.raises(NoModemLines):
                await link.lines()


async def test_a_device_that_is_not_there_is_told_once_and_waited_for(tmp_path: Path) -> None:
    downs: list[str] = []
    name = tmp_path / "fax-1"
    link = SerialLink(
        PortSettings(name=str(name)),
        on_data=lambda _: None,
        rng=random.Random(4),
        on_down=downs.append,
    )
    async with device() as modem:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(link.run(stop))
            await until(lambda: bool(downs))
            with pytest.raises(LinkDown, match="fax-1"):
                await link.write(b"AT\r")
            await asyncio.sleep(0.7)
            name.symlink_to(modem.name)
            await link.wait_up()
            stop.set()
    assert len(downs) == 1


async def test_the_loop_is_never_blocked_by_a_babbling_line() -> None:
    got = 0
    reads = 0

    def take(data: bytes) -> None:
        nonlocal got, reads
        got += len(data)
        reads += 1

    async with device() as radio:
        link = link_to(radio.name, take)
        async with running(link):
            for _ in range(300):
                radio.say(bytes(8))
                await asyncio.sleep(0.001)
            await until(lambda: got == 2400)
    assert reads < 200, "bytes that come without pause are taken in portions"


async def test_every_byte_is_traced_both_ways_and_replays(tmp_path: Path) -> None:
    path = tmp_path / "radio-1.trace"
    trace = Trace(path, lambda: datetime.now(UTC))
    async with device() as radio:
        got = bytearray()
        link = SerialLink(
            PortSettings(name=radio.name), on_data=got.extend, rng=random.Random(5), trace=trace
        )
        async with running(link):
            await link.write(b"AT\r")
            radio.say(b"\r\nOK\r\n")
            await until(lambda: bytes(got) == b"\r\nOK\r\n")
    await trace.flush()
    events = list(read_trace(path))
    assert b"".join(e.data for e in events if e.way == ">") == b"AT\r"
    assert b"".join(e.data for e in events if e.way == "<") == b"\r\nOK\r\n"
    assert [e.data.split()[0] for e in events if e.way == "#"] == [b"open", b"close"]


async def test_a_trace_rotates_drops_with_a_note_and_survives_a_torn_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2026, 11, 25, tzinfo=UTC)
    path = tmp_path / "t"
    trace = Trace(path, lambda: moment, max_file=1000, kept=2)
    for _ in range(40):
        trace.note("<", bytes(20))
        await trace.flush()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t", "t.1", "t.2"]
    assert all(p.stat().st_size <= 1000 for p in tmp_path.iterdir())
    monkeypatch.setattr("hardware.trace.MAX_WAITING", 3)
    for _ in range(5):
        trace.note("<", b"x")
    await trace.flush()
    with path.open("a") as file:
        file.write("2026-11-25T00:00:00+00:00 > 41 5")
    assert list(read_trace(path))[-1] == Traced(moment, "#", b"2 events dropped")


CH340 = (0x1A86, 0x7523)


@pytest.mark.parametrize(
    ("name", "target", "devices", "words"),
    [
        ("/dev/ttyUSB0", "/dev/ttyUSB0", (), "number changes"),
        ("/dev/ttyACM3", "/dev/ttyACM3", (), "number changes"),
        ("ttyS0", "ttyS0", (), "full path"),
        ("/dev/radio\n", "/dev/radio", (), "full path"),
        (
            "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0",
            "/dev/ttyUSB1",
            (
                Plugged("/dev/ttyUSB0", *CH340, place="1-1.1:1.0"),
                Plugged("/dev/ttyUSB1", *CH340, place="1-1.2:1.0"),
            ),
            "ttyUSB0 too",
        ),
        ("rfc2217://gateway", "", (), "rfc2217://host:port"),
        ("rfc2217://gateway:4000?logging=debug", "", (), "rfc2217://host:port"),
        ("loop://", "", (), "rfc2217://host:port"),
        ("socket://a:b@h:99999", "", (), "rfc2217://host:port"),
    ],
)
def test_a_name_that_may_mean_another_device_is_refused(
    name: str, target: str, devices: Sequence[Plugged], words: str
) -> None:
    with pytest.raises(PortNameError, match=words):
        judge(name, target, devices)


@pytest.mark.parametrize(
    ("name", "target", "devices"),
    [
        ("/dev/radio-1", "/dev/ttyUSB0", ()),
        ("/dev/ttyS0", "/dev/ttyS0", ()),
        ("/dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0", "/dev/ttyUSB0", ()),
        (
            "/dev/serial/by-id/usb-FTDI_A1-if00",
            "/dev/ttyUSB0",
            (
                Plugged("/dev/ttyUSB0", 0x403, 0x6010, "A1", "1-1:1.0"),
                Plugged("/dev/ttyUSB1", 0x403, 0x6010, "A1", "1-1:1.1"),
                Plugged("/dev/ttyUSB2", 0x403, 0x6010, "A2", "1-2:1.0"),
            ),
        ),
        ("rfc2217://192.0.2.7:4001", "", ()),
        ("socket://[::1]:4001", "", ()),
    ],
)
def test_a_name_that_means_one_device_for_good_is_taken(
    name: str, target: str, devices: Sequence[Plugged]
) -> None:
    judge(name, target, devices)


async def test_opening_something_that_is_no_terminal_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("x")
    for backend in BACKENDS:
        with pytest.raises(PortError, match=r"notes\.txt"):
            await open_port(PortSettings(name=str(file), backend=backend))  # type: ignore[arg-type]


async def test_a_cancelled_opening_leaves_no_port_open() -> None:
    async with device() as radio:
        opening = asyncio.ensure_future(open_port(PortSettings(name=radio.name)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        opening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await opening
        target = os.path.realpath(radio.name)

        def open_here() -> int:
            links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
            found = [os.readlink(link) for link in links if os.path.lexists(link)]
            return found.count(target)

        await until(lambda: open_here() == 1)  # the device's own
        port = await open_port(PortSettings(name=radio.name))
        await port.close()
