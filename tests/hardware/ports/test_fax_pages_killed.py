"""A fax of several pages with the port process killed between them: pages that the far machine has
confirmed are not sent again with the same document, and a document that is there is done with."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.lab.process import PortsProcess
from hardware.fax.page import write_tiff
from hardware.ports.journal import State
from hardware.rig.class2_far import FarMachine
from hardware.rig.class2_line import Class2Line
from hardware.rig.class2_modem import Class2Modem
from tests.hardware.fax.pages import plain_page
from tests.hardware.ports.doomed import VARIABLE
from tests.hardware.ports.ports_kit import Owner, owner
from tests.hardware.pty_kit import until

NUMBER = "05398110119"
PAGES = 3
pytestmark = pytest.mark.timeout(120)


@dataclass
class Room:
    """The port process on an emulated modem, which outlives it, and the daemon's side."""

    process: PortsProcess
    far: FarMachine
    owner: Owner

    async def start(self, dies: str = "") -> None:
        self.process.module = "tests.hardware.ports.doomed" if dies else "bridge"
        self.process.environment = {VARIABLE: dies}
        await self.process.start()
        await until(lambda: self.owner.client.up)

    async def send(self, key: str) -> None:
        tiff = write_tiff([plain_page(number, 100) for number in range(PAGES)])
        text = base64.b64encode(tiff).decode()
        body = {"key": key, "channel": "fax", "address": NUMBER, "text": text, "urgent": True}
        await self.owner.client.submit(body)

    def counted(self, key: str) -> list[tuple[int, int]]:
        """Pages confirmed, of how many, as told with each outcome of that job."""
        told = [body["data"] for _, body in self.owner.things if body.get("key") == key]
        return [(data["pages"], data["of"]) for data in told if "pages" in data]


@contextlib.asynccontextmanager
async def room_in(place: Path) -> AsyncIterator[Room]:
    far, device = FarMachine(), place / "modem"
    (place / "gateways.toml").write_text(
        f'[fax]\ndriver = "fax"\nport = "{device}"\nidentity = "+86539110"\nrtscts = false\n'
    )
    line = Class2Line(Class2Modem(far, pace=0.05), device)
    names = (place / "gateways.toml", place / "state", place / "ports.sock")
    process = PortsProcess(*names, log=place / "ports.log")
    try:
        async with owner(place / "ports.sock") as daemon:
            yield Room(process, far, daemon)
    finally:
        await process.stop()
        line.close()


@pytest.mark.req("SB-11")
@pytest.mark.parametrize(
    ("confirmed", "outcome", "rest"), [(1, "unknown", 2), (2, "unknown", 1), (3, "delivered", 3)]
)
async def test_after_a_kill_the_same_document_goes_on_at_its_first_unconfirmed_page(
    tmp_path: Path, confirmed: int, outcome: str, rest: int
) -> None:
    async with room_in(tmp_path) as room:
        await room.start(dies=f"after-journal pages {confirmed}")
        await room.send("a")
        await until(lambda: not room.process.running)
        assert len(room.far.received) == confirmed
        await room.start()
        await room.owner.wait_stage("a", outcome)
        assert room.counted("a") == [(confirmed, PAGES)]
        room.far.received.clear()
        await room.send("b")
        await room.owner.wait_stage("b", "delivered")
        assert (len(room.far.received), room.counted("b")) == (rest, [(PAGES, PAGES)])
        room.process.kill()
        await room.start()
        room.far.received.clear()
        await room.send("c")
        await room.owner.wait_stage("c", "delivered")
        assert len(room.far.received) == PAGES, "a document that is there is sent anew, whole"


def test_the_journal_knows_how_far_a_document_has_come() -> None:
    state = State()
    state.apply({"e": "learnt", "number": "1", "body": {"max_bps": 9600, "partly": {"aa": 1}}})
    state.apply({"e": "job", "key": "k", "body": {"gateway": "fax"}})
    pages = {"e": "pages", "key": "k", "of": 3, "number": "1"}
    state.apply(pages | {"document": "bb", "pages": 1})
    state.apply(pages | {"document": "bb", "pages": 2})
    assert state.learnt == {"1": {"max_bps": 9600, "partly": {"aa": 1, "bb": 2}}}
    again = State()
    for entry in state.entries():
        again.apply(entry)
    assert again == state
    state.apply(pages | {"document": "bb", "pages": 3})
    assert state.learnt["1"]["partly"] == {"aa": 1}, "the whole document is there"
    state.apply({"e": "pages", "key": "k", "pages": 1, "of": 2})  # of an earlier version
    assert (state.jobs["k"]["pages"], state.learnt["1"]["partly"]) == (1, {"aa": 1})
