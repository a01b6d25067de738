"""A modem that dies in the middle of a page, in the whole system: soft modem, port process, daemon,
the next channel of the order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.lab.faxnet import MACHINE, FaxNetwork
from bridge.lab.packages import find_program
from bridge.lab.phone import Behaviour
from bridge.lab.root import AsteriskRoot
from bridge.lab.settings_file import Gateways
from bridge.lab.tones import UNIT
from bridge.lab.world import World, make_world
from tests.live.conftest import prepared_switch
from tests.live.people import people_of
from tests.live.room import Room

NOTICED_S = 2.0
TRIES = 3
"""A soft modem that was kept from the processor loses its line before the page begins."""
LINE = "7001"
UNITS = f"""
[units.water]
name = "市供水集团"
tier = 1
fax = ["{MACHINE}"]
duty_phone = ["PJSIP/6001"]
[units.water.ladder]
GENERAL = [
    {{ channels = ["fax"], over_s = 600 }},
    {{ channels = ["phone"], over_s = 60 }},
]
"""
pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(240),
    pytest.mark.skipif(find_program("iaxmodem") is None, reason="iaxmodem is on Debian 12 alone"),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """Short enough for a control socket."""
    path = Path(tempfile.mkdtemp(prefix="b110-fax-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def modem(world: World) -> Mapping[str, Any]:
    """The modem as the board of the desk shows it."""
    boards = (await world.leader.must("GET", "fax"))["boards"]
    (found,) = boards[0]["modems"] if boards else ({"state": "", "page": None},)
    return dict(found)


async def until(world: World, state: str, page: int | None, within: float) -> bool:
    """Whether the modem came to that state with that page; on the way the order may fail."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        shown = await modem(world)
        if shown["state"] == state and (page is None or shown["page"] == page):
            return True
        await asyncio.sleep(0.2)
    return False


@pytest.mark.req("SB-11")
async def test_a_modem_that_dies_in_a_page_is_noticed_and_the_telephone_takes_over(
    asterisk_root: AsteriskRoot, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = FaxNetwork(asterisk_root, place, lines=(LINE,))
    device = str(network.device(LINE))
    gateways: Gateways = {"fax": {"driver": "fax", "port": device, "rtscts": False}}
    with prepared_switch(asterisk_root) as switch:
        world = make_world(switch, units=UNITS, gateways=gateways)
        owner = world.gateways
        assert owner is not None
        await switch.start()
        try:
            await network.start()
            await owner.start()
            await world.daemon.start()
            async with people_of(switch) as people:
                duty = await people.phone("6001", UNIT, Behaviour("auto", keys="1"))
                talk = await Room(world, people).talking()
                case = (await talk.desk.call(talk.id))["case"]
                await talk.citizen.hangup()
                for _ in range(TRIES):
                    body = {"units": ["water"], "words": "解放路水管爆裂,请到场抢修"}
                    answer = await talk.desk.must("POST", f"cases/{case}/orders", body)
                    order = answer["orders"][0]["order"]
                    if await until(world, "sending", 1, 40.0):
                        break
                else:
                    pytest.fail("no page came on the line")
                rung = len(duty.calls)
                killed, port_process = time.time(), owner.pid
                await network.kill_modem(LINE)
                call = await duty.wait_call(10.0)
                rang = time.time()
                assert len(duty.calls) == rung + 1
                await call.wait_answered(10.0)
                deadline = time.monotonic() + 30.0
                while (found := await talk.desk.must("GET", f"orders/{order}"))[
                    "state"
                ] != "acknowledged":
                    assert time.monotonic() < deadline, found
                    await asyncio.sleep(0.3)
                lost = found["attempts"][0]
                assert (lost["channel"], lost["cause"]) == ("fax", "device-gone")
                noticed = _moment(lost["times"]["failed"]) - killed
                assert noticed <= NOTICED_S
                assert found["acknowledged"]["channel"] == "phone"
                await network.start_modem(LINE)
                back = time.monotonic()
                assert await until(world, "idle", None, 30.0)
                returned = time.monotonic() - back
                assert owner.pid == port_process
                assert owner.running
                with capsys.disabled():
                    print(
                        f"\nfax modem killed in a page: noticed in {noticed:.2f} s, the telephone "
                        f"rang {rang - killed:.2f} s after, back {returned:.1f} s after its start"
                    )
        finally:
            await world.daemon.stop()
            await owner.stop()
            await network.stop()
            await switch.stop()


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
