"""Programs that are not ours judge tones and RFC 2217: multimon-ng, gensiot, ser2net."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.lab.packages import find_program
from hardware.port import PortSettings
from hardware.radio.selcall import SYSTEMS, SelcallError, Tone, dtmf, five_tone, samples, two_tone
from hardware.rig.line_box import LineBox
from hardware.serial_link import SerialLink
from tests.hardware.pty_kit import Device, device, running, until

MULTIMON_RATE = 22050


def program(name: str) -> str:
    found = find_program(name)
    assert found is not None, f"{name} is missing: python -m bridge.lab.prepare installs it"
    return found


def heard_by_multimon(decoder: str, tones: list[Tone]) -> list[str]:
    silence = Tone((), 0.2)
    done = subprocess.run(
        [program("multimon-ng"), "-q", "-t", "raw", "-a", decoder, "-"],
        input=samples([silence, *tones, silence], MULTIMON_RATE),
        capture_output=True,
        timeout=30,
        check=True,
    )
    return [line.partition(": ")[2] for line in done.stdout.decode().splitlines()]


@pytest.mark.parametrize("system", ["ZVEI1", "ZVEI2", "ZVEI3", "DZVEI", "EEA", "EIA", "CCIR"])
def test_multimon_reads_our_five_tone_calls(system: str) -> None:
    assert heard_by_multimon(system, five_tone(SYSTEMS[system], "12345")) == ["12345"]
    assert heard_by_multimon(system, five_tone(SYSTEMS[system], "67890")) == ["67890"]


def test_multimon_reads_digits_of_pzvei_whose_repeat_tone_the_sources_dispute() -> None:
    assert heard_by_multimon("PZVEI", five_tone(SYSTEMS["PZVEI"], "12345")) == ["12345"]


@pytest.mark.parametrize(
    ("address", "sent"), [("12334", "123E4"), ("33333", "3E3E3"), ("90777", "907E7")]
)
def test_multimon_hears_the_repeat_tone_for_equal_digits(address: str, sent: str) -> None:
    for system in ("ZVEI1", "CCIR"):
        assert heard_by_multimon(system, five_tone(SYSTEMS[system], address)) == [sent]


def test_multimon_reads_a_call_with_a_long_first_tone_and_own_identity() -> None:
    zvei = SYSTEMS["ZVEI1"]
    both = [*five_tone(zvei, "12345", first_s=0.6), Tone((), 0.4), *five_tone(zvei, "67801")]
    assert heard_by_multimon("ZVEI1", both) == ["12345", "67801"]


def test_multimon_reads_our_dtmf() -> None:
    assert heard_by_multimon("DTMF", dtmf("*110#1234567890ABCD")) == list("*110#1234567890ABCD")
    assert heard_by_multimon("DTMF", dtmf("110", on_s=0.05, off_s=0.05)) == list("110")


def test_two_tone_calls_have_their_lengths() -> None:
    assert [t.seconds for t in two_tone(349.0, 600.9)] == [1.0, 3.0]
    assert [t.seconds for t in two_tone(349.0, None)] == [8.0]
    assert len(samples(two_tone(349.0, 600.9), 8000)) == 4 * 8000 * 2


@pytest.mark.parametrize("address", ["", "12a45", "1234E", "١٢٣"])
def test_an_address_that_cannot_be_sent_is_refused(address: str) -> None:
    with pytest.raises(SelcallError):
        five_tone(SYSTEMS["ZVEI1"], address)
    with pytest.raises(SelcallError):
        dtmf("12x")


async def test_gensiot_as_client_exchanges_octets_and_settings_with_our_box() -> None:
    """gensiot speaks RFC 2217 to the box: data both ways, speed and flow control."""
    box = LineBox(random.Random(1), echo=True)
    await box.open()
    name = f"telnet(rfc2217),tcp,127.0.0.1,{box.port}"
    process = await asyncio.create_subprocess_exec(
        *(program("gensiot"), "-e", "28", "-i", "stdio(self)", name),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(b"AT+CREG?\r")
        async with asyncio.timeout(20):
            assert await process.stdout.readexactly(9) == b"AT+CREG?\r"
        assert bytes(box.heard) == b"AT+CREG?\r"
        process.stdin.write(b"\x1cs4800\n\x1cr")
        await until(lambda: box.lines.baudrate == 4800 and box.lines.rtscts)
    finally:
        process.kill()
        await process.wait()
        await box.close()


async def test_gensio_as_client_moves_rts_of_our_box_and_is_told_its_cts() -> None:
    box = LineBox(random.Random(1))
    await box.open()
    box.set_squelch(True)
    process = await asyncio.create_subprocess_exec(
        *("/usr/bin/python3", str(Path(__file__).with_name("gensio_client.py")), str(box.port)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            said = (await process.communicate())[0].decode().split("\n")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await box.close()
    assert process.returncode == 0
    states = [int(line.split()[1]) for line in said if line.startswith("modem ")]
    assert any(state & 0x90 == 0x90 for state in states), "CTS and carrier detect were told"
    assert [(move.line, move.level) for move in box.moves] == [("rts", True), ("rts", False)]


def ser2net_config(port: int, name: str) -> str:
    return f"""%YAML 1.1
---
connection: &radio
  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}
  connector: serialdev,{name},9600n81,local
  options:
    kickolduser: true
"""


@asynccontextmanager
async def ser2net(tmp_path: Path, radio: Device) -> AsyncIterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "ser2net.yaml"
    config.write_text(ser2net_config(port, radio.name))
    process = await asyncio.create_subprocess_exec(
        program("ser2net"), "-n", "-d", "-c", str(config), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        for _ in range(400):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.05)
        yield f"rfc2217://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_ser2net_as_server_carries_every_octet_of_our_client(tmp_path: Path) -> None:
    """With pyserial: serialx waits for an answer to the mask of modem states, which ser2net does
    not give, so that pair is refused at opening."""
    got = bytearray()
    everything = bytes(range(256)) * 4
    async with device() as radio, ser2net(tmp_path, radio) as url:
        link = SerialLink(
            PortSettings(name=url, rate=19200), on_data=got.extend, rng=random.Random(1)
        )
        async with running(link):
            await link.write(everything)
            await radio.wait_heard(everything)
            radio.say(everything)
            await until(lambda: len(got) >= len(everything))
            assert bytes(got) == everything
