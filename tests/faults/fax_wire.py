"""The wire fax: emulated modems, the same port process, and people at far fax machines."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.documents.form import Tick
from bridge.lab.settings_file import Value
from hardware.rig.class2_far import FarMachine
from hardware.rig.class2_line import Class2Line
from hardware.rig.class2_modem import Class2Modem
from tests.faults.order_matrix import Carried
from tests.faults.order_wires import COMES_S, OTHER_WAY_S, SIGNS, Doc, told_apart, unit_of
from tests.faults.stage import Stage
from tests.hardware.fax.pages import faxed_back, printed

LINES: Final = 3
"""One of them is kept for urgent orders and for what comes in."""
PACE: Final = 0.05
"""How much of its own time the modem takes; the driver gives a page no faster than the line."""
FRAME: Final = (120, 90, 380, 190)
"""Left, top, right and bottom of the place above the title where 可能重复 stands, in elements."""
BACK_S: Final = 12.0
"""A sheet that was not taken in this time is put into the machine again."""


@dataclass
class Machine:
    """A unit's fax machine."""

    number: str
    far: FarMachine = field(default_factory=FarMachine)
    calls: int = 0
    """How often it was dialled."""
    began: int = 0
    """Pages that began to come."""


class Modem(Class2Modem):
    """At its far end is whoever was dialled."""

    def __init__(self, machines: Mapping[str, Machine]) -> None:
        super().__init__(FarMachine(kind="no answer"), pace=PACE)
        self._machines = machines
        self._dialled: Machine | None = None

    @property
    def idle(self) -> bool:
        """No call."""
        return not self._connected and not self._ringing and self.deadline is None

    def called_by(self, machine: Machine, page: bytes) -> None:
        """Let the machine be at the far end, with a page."""
        self.far = FarMachine(identity=machine.number, documents=[page])
        self._dialled = None

    def restart(self) -> None:
        """Its power was away."""
        self._end_call()
        self._reset()

    def _dial(self, number: str) -> None:
        self._dialled = machine = self._machines.get(re.sub(r"^[TP]", "", number))
        self.far = machine.far if machine else FarMachine(kind="no answer")
        if machine is not None:
            machine.calls += 1
        super()._dial(number)

    def _page_may_come(self) -> None:
        super()._page_may_come()
        if self._dialled is not None:
            self._dialled.began += 1


class FaxLines:
    """The modems, each on a device of its own. Make it inside a running loop."""

    def __init__(self, place: Path) -> None:
        self.machines: dict[str, Machine] = {}
        self.devices = [place / f"fax-{number}" for number in range(1, LINES + 1)]
        self.modems = [Modem(self.machines) for _ in self.devices]
        self.rigs = [Class2Line(*pair) for pair in zip(self.modems, self.devices, strict=True)]

    def gateway(self) -> Mapping[str, Value]:
        """Its table in the file of gateways."""
        first, *more = map(str, self.devices)
        return {
            "driver": "fax", "port": first, "more": more, "identity": "+86539110", "rtscts": False,
        }  # fmt: skip

    def pull(self) -> None:
        """All cables."""
        for rig in self.rigs:
            rig.pull()

    def well(self) -> None:
        """All cables are in."""
        for modem, rig, device in zip(self.modems, self.rigs, self.devices, strict=True):
            if not device.exists():
                modem.restart()
                rig.plug()

    def called_by(self, machine: Machine, page: bytes) -> bool:
        """The machine calls with a page, over a line that is free; False where none is."""
        for modem, rig in zip(self.modems, self.rigs, strict=True):
            if modem.idle:
                modem.called_by(machine, page)
                rig.ring()
                return True
        return False


@contextlib.contextmanager
def fax_lines(place: Path) -> Iterator[FaxLines]:
    """Gone afterwards."""
    lines = FaxLines(place)
    try:
        yield lines
    finally:
        for rig in lines.rigs:
            rig.close()


def fax_toml(run: Path) -> str:
    """Settings of the daemon."""
    return f'\n[fax]\ninbox = "{run / "faxes"}"\n'


class FaxWire:
    """Machines of units: a page is on the line to one; when it is printed a person ticks the box
    已到场 and sends the sheet back. One is busy. Where nothing comes the unit's leader is rung,
    and signs. *Printed*, which takes a page's time, is left to the kills."""

    name = "fax"
    scenes = ("on the line", "busy")
    NUMBERS: Final = {"on the line": "05398110121", "printed": "05398110122",
                      "busy": "05398110123"}  # fmt: skip
    PHONE: Final = "6010"

    def __init__(self, stage: Stage, lines: FaxLines) -> None:
        self._stage = stage
        self._lines = lines
        self._again_at: dict[str, float] = {}
        for number in self.NUMBERS.values():
            lines.machines[number] = Machine(number)

    @classmethod
    def directory(cls) -> str:
        """Units of this wire."""
        return "".join(
            f'[units.{unit_of(cls.name, scene)}]\nname = "{scene}"\ntier = 1\n'
            f'fax = ["{number}"]\n'
            f'leader_phone = ["PJSIP/{cls.PHONE}"]\n'
            f"[units.{unit_of(cls.name, scene)}.ladder]\nGENERAL = [\n"
            f'  {{ channels = ["fax"], over_s = {OTHER_WAY_S if scene == "busy" else 40} }},\n'
            '  { channels = ["phone"], over_s = 25, to = "leader" },\n]\n'
            for scene, number in cls.NUMBERS.items()
        )

    def units(self) -> str:
        return self.directory()

    def prepare(self, scene: str) -> None:
        machine = self._machine(scene)
        machine.far = FarMachine(kind="busy" if scene == "busy" else "fax", identity=machine.number)
        machine.calls = machine.began = 0
        self._again_at.pop(scene, None)
        self._stage.phones[self.PHONE].behaviour = SIGNS

    async def reached(self, scene: str) -> None:
        machine = self._machine(scene)
        async with asyncio.timeout(COMES_S):
            while not self._there(scene, machine):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)

    def _there(self, scene: str, machine: Machine) -> bool:
        if scene == "busy":
            return machine.calls > 0
        return bool(machine.far.received) if scene == "printed" else machine.began > 0

    async def at_the_fault(self, scene: str) -> None:
        pass

    def mend(self) -> None:
        pass

    async def sign(self, scene: str) -> None:
        """Whoever holds a sheet sends it back, again where it was not taken."""
        machine, now = self._machine(scene), asyncio.get_running_loop().time()
        if not machine.far.received or now < self._again_at.get(scene, 0.0):
            return
        self._again_at[scene] = now + BACK_S
        octets = machine.far.received[-1]
        page = await asyncio.to_thread(lambda: faxed_back(printed(octets).image(), Tick.ARRIVED))
        if not self._lines.called_by(machine, page):
            del self._again_at[scene]

    def signed(self, scene: str, order: Doc) -> bool:
        return False

    def carried(self, scene: str, order: Doc) -> list[Carried]:
        marks = [_framed(octets) for octets in self._machine(scene).far.received]
        return told_apart(order, self.name, marks)

    def _machine(self, scene: str) -> Machine:
        return self._lines.machines[self.NUMBERS[scene]]


def _framed(octets: bytes) -> bool:
    """Whether 可能重复 stands on the page: of a general order nothing else does there."""
    darkest, _ = printed(octets).image().convert("L").crop(FRAME).getextrema()
    return darkest == 0
