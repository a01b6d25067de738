"""Every voice of a telephone call about an order is in its track; no key of a PIN is anywhere.

By ear: each telephone is a tone. The duty officer asks for the seat; the unit calls in.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.phone import Behaviour
from bridge.lab.ports import HOST
from bridge.lab.settings_file import STORE_FILE
from bridge.lab.tones import HOTLINE, SEAT, UNIT
from bridge.lab.world import World
from tests.live.conftest import NewSwitch
from tests.live.ordering import PIN, Ordering, duty, lead_by, ordering
from tests.live.people import fetched, talk
from tests.tracks.listen import tones

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

EAR = [SEAT, HOTLINE, UNIT]


async def recordings(room: Ordering, order: str, how_many: int) -> list[Mapping[str, Any]]:
    async def look() -> list[Mapping[str, Any]] | None:
        found = (await room.order(order))["recordings"]
        return found if len(found) == how_many else None

    found: list[Mapping[str, Any]] = await room.desk.wait_for(look, 30, f"{how_many} recordings")
    return found


def heard(room: Ordering, recording: Mapping[str, Any], leg: str) -> dict[int, float]:
    """Seconds of each tone in the track of that leg; its hash is the file's."""
    (track,) = [one for one in recording["tracks"] if one["leg"] == leg]
    place = room.world.switch.run.recordings / track["file"]
    assert track["sha256"] == _sha256(place)
    found = tones(place, EAR)
    return {tone: sum(b - a for a, b in found[tone]) for tone in EAR if found[tone]}


def _sha256(place: Path) -> str:
    return subprocess.run(
        ["sha256sum", place], check=True, capture_output=True, text=True
    ).stdout.split()[0]


def command(world: World, *words: str) -> dict[str, Any]:
    """What our command line says, as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *words, "--config", str(world.daemon.config), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _order_show(world: World, order: str) -> str:
    token = world.switch.run.path / "a-token"
    token.write_text(world.tokens["8001"])
    token.chmod(0o600)
    return subprocess.run(
        [
            *(sys.executable, "-m", "bridge", "order", "show", order),
            *("--token-file", str(token), "--config", str(world.daemon.config)),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


async def test_duty_officer_and_seat_are_on_record_each_in_a_track_of_its_own(
    new_switch: NewSwitch, tmp_path: Path
) -> None:
    async with ordering(new_switch) as room:
        phone = await duty(room.people, "6001", Behaviour("auto", keys="4", keys_after=1.0))
        order = await room.give()
        at_unit = await phone.wait_call(20)
        at_seat = await fetched(room.talk.seat, 15)
        await talk(at_unit, at_seat)
        await asyncio.sleep(2.0)
        await at_seat.hangup()
        await asyncio.sleep(0.5)
        await at_unit.press("1")
        await room.until(order, "acknowledged")
        (closed,) = await recordings(room, order, 1)
        assert {one["leg"] for one in closed["tracks"]} == {"unit", "seat-8001"}
        assert (closed["missing"], closed["joined"] is not None) == ([], True)
        unit = await asyncio.to_thread(heard, room, closed, "unit")
        seat = await asyncio.to_thread(heard, room, closed, "seat-8001")
        assert set(unit) == {UNIT}
        assert set(seat) == {SEAT}
        assert min(unit[UNIT], seat[SEAT]) > 1.8
        (attempt,) = [a for a in (await room.order(order))["attempts"] if a["channel"] == "phone"]
        assert closed["call"] == f"ord-{attempt['id']}"
        shown = await asyncio.to_thread(_order_show, room.world, order)
        assert all(one["file"] in shown for one in closed["tracks"])
        exported = await asyncio.to_thread(command, room.world, "case", "export", room.case)
        facts = [line["fact"] for line in exported["journal"]]
        (told,) = [fact for fact in facts if fact["kind"] == "order.recorded"]
        assert told["data"]["tracks"] == closed["tracks"]
        copy = tmp_path / "copy.db"
        saved = await asyncio.to_thread(
            command, room.world, "db", "backup", str(copy), "--recordings"
        )
        assert saved["recordings"]["missing"] == saved["recordings"]["damaged"] == []
        beside = Path(f"{copy}.recordings")
        assert {one["file"] for one in closed["tracks"]} <= {one.name for one in beside.iterdir()}


async def test_killed_in_the_talk_the_recording_is_closed_by_the_next_life(
    new_switch: NewSwitch,
) -> None:
    async with ordering(new_switch) as room:
        phone = await duty(room.people, "6001", Behaviour("auto"))
        order = await room.give()
        call = await phone.wait_call(20)
        await call.wait_answered(5)
        await room.attempt(order, "phone", "sent")
        await asyncio.sleep(1.0)
        room.world.daemon.kill()
        await call.press("1")
        await call.hangup()
        await asyncio.sleep(0.5)
        await room.world.daemon.start()
        (closed,) = await recordings(room, order, 1)
        assert set(await asyncio.to_thread(heard, room, closed, "unit")) == {UNIT}


class Tap:
    """The daemon's link to Asterisk goes through here: every byte of both directions."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.seen = bytearray()
        self.port = 0

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._carry, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, self._target)
        await asyncio.gather(self._way(reader, back), self._way(there, writer))

    async def _way(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                self.seen += data
                sink.write(data)
        sink.close()


async def test_a_unit_calls_in_it_is_on_record_and_its_pin_is_nowhere(
    new_switch: NewSwitch,
) -> None:
    """Link, console, logs, event log and journal, while and after the keys are pressed."""
    async with ordering(new_switch) as room:
        run = room.world.switch.run.path
        await room.world.daemon.stop()
        tap = Tap(room.world.ports.ami)
        async with tap.open():
            await lead_by(room.world, tap.port)
            await room.world.daemon.start()
            phone = await duty(room.people, "6001", Behaviour("reject"))
            order = await room.give()
            code = str((await room.order(order))["code"])
            call = await phone.dial("7110")
            await call.wait_answered(5)
            await call.press(code)
            await call.press(PIN[:6])
            shown = await room.world.switch.console("core show channels verbose")
            name = next(
                line.split()[0] for line in shown.splitlines() if line.startswith("PJSIP/6001")
            )
            shown += await room.world.switch.console(f"core show channel {name}")
            assert "AGI" in shown, "the keys are being asked for"
            await call.press(PIN[6:] + "#", timeout=10)

            async def reported() -> bool:
                await call.press("1")
                await asyncio.sleep(1.0)
                return bool((await room.order(order))["reports"])

            await room.desk.wait_for(reported, 40, "a report by telephone")
            await call.hangup()
            (closed,) = await recordings(room, order, 1)
            assert set(await asyncio.to_thread(heard, room, closed, "unit")) == {UNIT}
            await room.world.daemon.stop()
            assert b"ReportAsks" in tap.seen, "the tap sees the report line"
            for secret in (PIN, code):
                assert secret.encode() not in tap.seen
                assert secret not in shown
            assert b"DTMF" not in tap.seen, "nor key by key"
            logs = [run / "daemon.log", *sorted((run / "log").rglob("*"))]
            found = [
                place.name
                for place in [*logs, run / STORE_FILE]
                if place.is_file() and PIN.encode() in place.read_bytes()
            ]
            assert found == []
