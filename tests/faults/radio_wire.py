"""The wire radio: an emulated TETRA terminal, people with sets, and the real port process, which
owns what is on other serial ports too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from bridge.lab.phone import Behaviour
from bridge.lab.process import PortsProcess
from bridge.lab.settings_file import Gateways, gateways_toml
from hardware.radio import sds
from hardware.rig.air import Air, Set
from hardware.rig.pei_terminal import Behaviour as Terminal
from hardware.rig.pei_terminal import PeiTerminal
from hardware.rig.pty import PtyEnd
from tests.faults.order_matrix import Carried
from tests.faults.order_wires import COMES_S, OTHER_WAY_S, SIGNS, Doc, told_apart, unit_of
from tests.faults.stage import Stage
from tests.hardware.radio.radio_kit import on_pty

SIGN: Final = 0x8002
"""Status 收到."""
MARK: Final = "可能重复"


class Field:
    """The terminal with everybody's sets, and the port process that owns it; `more` gateways."""

    def __init__(
        self, place: Path, terminal: PeiTerminal, pty: PtyEnd, air: Air, more: Gateways
    ) -> None:
        self.place = place
        self.terminal = terminal
        self.pty = pty
        self.air = air
        path = place / "gateways.toml"
        gateway = {"driver": "tetra-pei", "port": str(place / "radio-1")}
        path.write_text(gateways_toml({"radio-1": gateway, **more}))
        self.owner = PortsProcess(
            path, place / "state", place / "ports.sock", log=place / "ports.log"
        )

    def toml(self) -> str:
        """Settings of the daemon."""
        return f'\n[ports]\nsocket = "{self.owner.socket}"\n'

    async def well(self) -> None:
        """The cable is in, the port process runs."""
        if not (self.place / "radio-1").exists():
            self.terminal.restart()
            self.pty.plug()
        if not self.owner.running:
            await self.owner.start()


@contextlib.asynccontextmanager
async def radio_field(place: Path, more: Gateways) -> AsyncIterator[Field]:
    """Both started; gone afterwards."""
    async with on_pty(
        place / "radio-1", lambda write, air: PeiTerminal(write, air, Terminal())
    ) as (terminal, pty, air):
        field = Field(place, terminal, pty, air, more)
        await field.owner.start()
        try:
            yield field
        finally:
            await field.owner.stop()


class RadioWire:
    """Sets in the field: one shows the order and says so, one shows it and says nothing, one whose
    user presses 收到 in the moment of the fault, one that is off. That unit is rung, and signs."""

    name = "radio"
    scenes = ("read", "silent", "status pressed", "off")
    SETS: Final = {"read": "2269101", "silent": "2269102", "status pressed": "2269103",
                   "off": "2269104"}  # fmt: skip
    PHONE: Final = "6009"

    def __init__(self, stage: Stage, field: Field) -> None:
        self._stage = stage
        self._field = field

    @classmethod
    def directory(cls) -> str:
        """Units of this wire."""
        return "".join(
            f'[units.{unit_of(cls.name, scene)}]\nname = "{scene}"\ntier = 1\n'
            f'radio.ssi = ["{number}"]\n'
            + (f'duty_phone = ["PJSIP/{cls.PHONE}"]\n' if scene == "off" else "")
            + f"[units.{unit_of(cls.name, scene)}.ladder]\nGENERAL = [\n"
            f'  {{ channels = ["radio"], over_s = {OTHER_WAY_S if scene == "off" else 40} }},\n'
            '  { channels = ["phone"], over_s = 25 },\n]\n'
            for scene, number in cls.SETS.items()
        )

    def units(self) -> str:
        return self.directory()

    def prepare(self, scene: str) -> None:
        number = self.SETS[scene]
        air = self._field.air
        air.heard[:] = [one for one in air.heard if one[0] != number]
        sent = self._field.terminal.sent
        sent[:] = [one for one in sent if one[0] != number]
        silent = scene == "silent"
        air.sets[number] = Set(
            on=scene != "off", stored=True, received=not silent, consumed=not silent
        )
        if scene == "off":
            self._stage.phones[self.PHONE].behaviour = Behaviour("ring")

    async def reached(self, scene: str) -> None:
        async with asyncio.timeout(COMES_S):
            while not self._shown(scene) and not self._stored(scene):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)

    async def at_the_fault(self, scene: str) -> None:
        if scene == "status pressed":
            self._field.terminal.status_from(self.SETS[scene], SIGN)

    def mend(self) -> None:
        self._stage.phones[self.PHONE].behaviour = SIGNS

    async def sign(self, scene: str) -> None:
        """Whoever has an order on the display presses 收到, until he is heard."""
        if self._shown(scene):
            self._field.terminal.status_from(self.SETS[scene], SIGN)

    def signed(self, scene: str, order: Doc) -> bool:
        return False

    def carried(self, scene: str, order: Doc) -> list[Carried]:
        return told_apart(order, self.name, [MARK in text for text in self._shown(scene)])

    def _stored(self, scene: str) -> bool:
        return any(number == self.SETS[scene] for number, _ in self._field.terminal.sent)

    def _shown(self, scene: str) -> list[str]:
        """Texts on that set's display, long ones joined."""
        found: list[str] = []
        for number, pdu in self._field.air.heard:
            text = sds.text_of(sds.decode(pdu)) if number == self.SETS[scene] else None
            if text is None:
                continue
            if text.part is None or text.part.number == 1 or not found:
                found.append(text.text)
            else:
                found[-1] += text.text
        return found
