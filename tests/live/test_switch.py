"""The laboratory's Asterisk: boots with our configuration, keeps to its place, dies and returns."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path

from bridge.lab.phone import Phone
from bridge.lab.ports import HOST
from bridge.lab.switch import Switch
from bridge.lab.tones import SEAT

NewSwitch = Callable[[], Awaitable[Switch]]
LOOPBACK = "0100007F"
"""127.0.0.1 as the kernel writes it."""


async def test_every_module_of_the_list_is_loaded_and_nothing_is_logged_as_an_error(
    new_switch: NewSwitch,
) -> None:
    switch = await new_switch()
    text = (switch.run.etc / "modules.conf").read_text(encoding="utf-8")
    wanted = {
        line.split(";")[0].split("=")[1].strip()
        for line in text.splitlines()
        if line.startswith("load")
    }
    shown = await switch.console("module show")
    running = {line.split()[0] for line in shown.splitlines() if " Running " in line}
    assert len(wanted) > 60
    assert wanted - running == set()
    assert "ERROR" not in switch.run.log_file.read_text(encoding="utf-8")


async def test_seats_hotline_and_trunk_stand_as_the_site_says(switch: Switch) -> None:
    shown = await switch.console("pjsip show endpoints")
    names = {
        line.split()[1].split("/")[0] for line in shown.splitlines() if "Endpoint:  " in line
    } - {"<Endpoint"}
    own = {*switch.site.seats, *switch.site.units, *switch.site.radios}
    assert names == {"trunk", "hotline", *own}


async def test_its_services_listen_on_this_machine_alone(switch: Switch) -> None:
    """From the kernel's own tables. SIP's name resolver keeps two sockets on chance ports."""
    links = [os.readlink(entry) for entry in Path(f"/proc/{switch.pid}/fd").iterdir()]
    own = {link[8:-1] for link in links if link.startswith("socket:[")}
    bound: dict[str, set[tuple[str, int]]] = {}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            local, inode = line.split()[1], line.split()[9]
            if inode in own:
                address, port = local.split(":")
                bound.setdefault(table[:3], set()).add((address, int(port, 16)))
    ports = switch.site.ports
    outside = {port for address, port in bound["udp"] if address != LOOPBACK}
    assert bound["tcp"] == {(LOOPBACK, ports.ami)}
    assert (LOOPBACK, ports.sip) in bound["udp"]
    assert len(outside) <= 2
    assert not outside & {ports.sip, *ports.rtp}


async def test_prompts_are_telephone_sound_below_the_data_directory_asterisk_uses(
    switch: Switch,
) -> None:
    shown = await switch.console("core show settings")
    data = next(line.split(":")[1].strip() for line in shown.splitlines() if "Data dir" in line)
    with wave.open(f"{data}/sounds/bridge110/goodbye.wav") as prompt:
        form = (prompt.getframerate(), prompt.getnchannels(), prompt.getsampwidth())
        seconds = prompt.getnframes() / prompt.getframerate()
    assert form == (8000, 1, 2)
    assert 1 < seconds < 10


async def test_a_killed_switch_is_gone_and_its_database_returns_with_it(
    new_switch: NewSwitch,
) -> None:
    switch = await new_switch()
    await switch.console("database put bridge110 mark kept")
    await until(lambda: "/bridge110/mark" in astdb_keys(switch))  # Asterisk syncs once a second
    first = switch.pid
    await switch.kill()
    assert not switch.running
    assert await switch.wait_ended() == -9
    await switch.restart()
    assert switch.pid != first
    assert "kept" in await switch.console("database get bridge110 mark")


def astdb_keys(switch: Switch) -> set[str]:
    """What is on the disk, read without Asterisk."""
    place = f"file:{switch.run.path}/lib/astdb.sqlite3?mode=ro"
    with contextlib.closing(sqlite3.connect(place, uri=True)) as database:
        return {key for (key,) in database.execute("SELECT key FROM astdb")}


async def until(condition: Callable[[], bool], limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_frozen_switch_takes_connections_and_says_nothing(new_switch: NewSwitch) -> None:
    switch = await new_switch()
    switch.freeze()
    reader, writer = await asyncio.open_connection(HOST, switch.site.ports.ami)
    silent = False
    try:
        async with asyncio.timeout(0.3):
            await reader.readline()
    except TimeoutError:
        silent = True
    switch.thaw()
    async with asyncio.timeout(5):
        banner = await reader.readline()
    writer.close()
    assert silent
    assert banner.startswith(b"Asterisk Call Manager/")


async def test_secrets_are_neither_in_its_environment_nor_readable_by_others(
    switch: Switch,
) -> None:
    environment = Path(f"/proc/{switch.pid}/environ").read_bytes().decode()
    names = {entry.split("=")[0] for entry in environment.split("\0") if entry}
    modes = {file.stat().st_mode & 0o077 for file in (switch.run.etc / "site").iterdir()}
    assert names <= {"PATH", "TZ", "LC_ALL", "HOME"}
    assert modes == {0}


async def test_two_switches_stand_side_by_side(switch: Switch, new_switch: NewSwitch) -> None:
    other = await new_switch()
    assert other.site.ports != switch.site.ports
    assert "System uptime" in await other.console("core show uptime")
    assert "System uptime" in await switch.console("core show uptime")


async def test_telephones_are_there_again_soon_after_a_restart(new_switch: NewSwitch) -> None:
    """Without waiting for the round of questions, which takes up to 20 s (`qualify_frequency`)."""
    switch = await new_switch()
    phones = [
        Phone(seat, switch.site.sip_secret, (HOST, switch.site.ports.sip), tone=SEAT)
        for seat in switch.site.seats
    ]
    for phone in phones:
        await phone.start()
    try:
        await until(lambda: len(astdb_contacts(switch)) == len(phones))
        await switch.kill()
        await switch.wait_ended()
        await switch.restart()
        up = time.monotonic()
        away = {phone.user for phone in phones}
        while away and time.monotonic() < up + 10:
            away = {seat for seat in away if "Not in use" not in await state_of(switch, seat)}
            await asyncio.sleep(0.1)
        assert time.monotonic() - up < 3.5
    finally:
        for phone in phones:
            await phone.stop()


def astdb_contacts(switch: Switch) -> set[str]:
    """Registrations that are on the disk."""
    return {key for key in astdb_keys(switch) if key.startswith("/registrar/contact/")}


async def state_of(switch: Switch, seat: str) -> str:
    """What the queue thinks of a seat's telephone."""
    return await switch.console(f"pjsip show endpoint {seat}")
