"""A fax line and the devices behind it: held by others, wrong, lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hardware.fax.line import FaxLine, LineState
from hardware.fax.model import Model
from hardware.fax.t30 import Cause, Result
from hardware.fax.t30_settings import SenderSettings
from hardware.fax.uucp_lock import DeviceLock, lock_file
from hardware.fax.wire import WireGone
from hardware.port import PortSettings
from hardware.rig.class2_far import FarMachine
from hardware.rig.class2_line import Class2Line
from hardware.rig.class2_modem import Class2Modem
from tests.hardware.fax.pages import plain_page

PATIENCE = 30.0


async def until(what: str, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


def line_on(device: Path) -> FaxLine:
    return FaxLine(
        PortSettings(name=str(device), rate=115200),
        model=Model(name="rig", ahead_s=1e3),
        locks=device.parent,
    )


async def test_a_device_that_another_program_holds_is_not_touched(tmp_path: Path) -> None:
    device = tmp_path / "modem"
    rig = Class2Line(Class2Modem(FarMachine()), device)
    holder = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    lock = lock_file(str(device), tmp_path)
    line = line_on(device)
    try:
        lock.write_text(f"{holder.pid:10d}\n", encoding="ascii")
        line.start()
        await until("away", lambda: str(holder.pid) in line.state[1])
        assert line.state[0] is LineState.HELD
        sent = line.send("1", [plain_page(1, 20)], SenderSettings()).result(1.0)
        assert (sent.result, sent.cause) == (Result.NOT_DELIVERED, Cause.MODEM)
        assert rig.modem.commands == []
        holder.kill()
        holder.wait()
        await until("ready", lambda: line.state[0] is LineState.READY)
        assert int(lock.read_text(encoding="ascii")) == os.getpid()
    finally:
        holder.kill()
        holder.wait()
        await asyncio.to_thread(line.stop)
        rig.close()
    assert not lock.exists()


async def test_a_device_that_is_no_fax_modem_is_away_with_the_reason(tmp_path: Path) -> None:
    class DataModem(Class2Modem):
        def _value(self, name: str) -> str:
            return "0"

        def _fax_command(self, name: str, rest: str) -> bool:
            self._say("ERROR")
            return False

    device = tmp_path / "modem"
    rig = Class2Line(DataModem(FarMachine()), device)
    line = line_on(device)
    line.start()
    try:
        await until("reason", lambda: "no fax modem" in line.state[1])
        assert line.state[0] is LineState.AWAY
    finally:
        await asyncio.to_thread(line.stop)
        rig.close()


async def test_a_number_that_cannot_be_dialled_is_the_callers_fault(tmp_path: Path) -> None:
    device = tmp_path / "modem"
    rig = Class2Line(Class2Modem(FarMachine()), device)
    line = line_on(device)
    line.start()
    try:
        await until("ready", lambda: line.state[0] is LineState.READY)
        sent = line.send("8;ATH", [plain_page(1, 20)], SenderSettings())
        with pytest.raises(ValueError, match="can be dialled"):
            await asyncio.wrap_future(sent)
        assert rig.modem.number == ""
    finally:
        await asyncio.to_thread(line.stop)
        rig.close()


async def test_a_call_that_comes_in_goes_before_one_that_goes_out(tmp_path: Path) -> None:
    device = tmp_path / "modem"
    rig = Class2Line(Class2Modem(FarMachine()), device)
    line = line_on(device)
    line.start()
    try:
        await until("ready", lambda: line.state[0] is LineState.READY)
        rig.ring()
        await asyncio.sleep(0.5)
        sent = line.send("1", [plain_page(1, 20)], SenderSettings())
        outcome = await asyncio.wrap_future(sent)
        assert (outcome.result, outcome.cause) == (Result.NOT_DELIVERED, Cause.GLARE)
        assert rig.modem.number == ""
    finally:
        await asyncio.to_thread(line.stop)
        rig.close()


def test_a_lock_of_a_dead_process_is_taken_over_and_ours_is_respected(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    file = lock_file("/dev/ttyX9", tmp_path)
    assert file.name == "LCK..ttyX9"
    file.write_text(f"{ended.pid:10d}\n", encoding="ascii")
    with DeviceLock("/dev/ttyX9", tmp_path):
        assert file.read_text(encoding="ascii") == f"{os.getpid():10d}\n"
        with pytest.raises(WireGone, match=str(os.getpid())), DeviceLock("/dev/ttyX9", tmp_path):
            pass
        assert file.exists()
    assert not file.exists()
    with DeviceLock("/dev/ttyX9", tmp_path / "nowhere"):
        pass  # no directory: no lock, and no fault


async def test_two_programs_on_one_port_without_lock_files_do_not_share_it(tmp_path: Path) -> None:
    """The second finds the device opened exclusively, says so, and has it when the first ends."""
    device = tmp_path / "modem"
    rig = Class2Line(Class2Modem(FarMachine()), device)
    first, second = (
        FaxLine(PortSettings(name=str(device)), model=Model(name="rig"), locks=tmp_path / "none")
        for _ in range(2)
    )
    first.start()
    try:
        await until("ready", lambda: first.state[0] is LineState.READY)
        asked = len(rig.modem.commands)
        second.start()
        await until("held", lambda: second.state[0] is LineState.HELD)
        assert "held by another program" in second.state[1]
        assert len(rig.modem.commands) == asked, "nothing was said to the other's modem"
        await asyncio.to_thread(first.stop)
        await until("taken over", lambda: second.state[0] is LineState.READY)
    finally:
        await asyncio.to_thread(first.stop)
        await asyncio.to_thread(second.stop)
        rig.close()


@pytest.mark.parametrize(
    ("make", "state"),
    [(lambda path: None, LineState.UNPLUGGED), (lambda path: path.write_text("x"), LineState.AWAY),
     (lambda path: path.mkdir(), LineState.AWAY)],
    ids=["none", "a file", "a folder"],
)  # fmt: skip
async def test_what_is_no_serial_device_is_said_with_its_name(
    tmp_path: Path, make: Callable[[Path], object], state: LineState
) -> None:
    device = tmp_path / "modem"
    make(device)
    line = line_on(device)
    line.start()
    try:
        await until("said", lambda: str(device) in line.state[1])
        assert line.state[0] is state
    finally:
        await asyncio.to_thread(line.stop)
