"""The radios of a laboratory: emulated gateways, and sets in the field whose users answer.

A TETRA terminal, a MAP27 radio unit and an SMS modem on ptys, a box with a keyed line on TCP; the
port process owns them as it would own real ones. Whatever a set in the field hears or says is a
line of the air log, written by the emulator and by nobody else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bridge.lab.ports import HOST
from bridge.lab.settings_file import Wires
from hardware.radio import sds
from hardware.rig.air import Air, Set
from hardware.rig.line_box import LineBox
from hardware.rig.map27_unit import Map27Unit
from hardware.rig.pei_terminal import Behaviour, PeiTerminal
from hardware.rig.pty import PtyEnd
from hardware.rig.sms_modem import SmsModemRig, Ways

AIR_LOG: Final = "air.jsonl"
UNIT: Final = "6001"
"""Has the TETRA set with the number SSI."""
SSI: Final = "2269001"
ARRIVED: Final = 0x8003
"""Status 到场 of a TETRA set."""
READ_S: Final = 0.5
"""How long the people in the field look at a message before they answer."""
ANSWERS: Final[Mapping[str, Mapping[str, Set]]] = {
    "radio-1": {SSI: Set(reply_status=ARRIVED, reply_s=READ_S)},
    "radio-2": {"31/2001": Set(reply_status=2, reply_s=READ_S)},
    "sms-1": {"13900006001": Set(reply_text="收到", reply_s=READ_S)},
}
"""By gateway and number: who has a set, and what its user answers to an order."""
WIRES: Final[Wires] = {
    UNIT: {"radio.ssi": [SSI], "sms": ["13900006001"]},
    "6002": {"radio.map27": ["31/2001"]},
}
"""Units that have these sets."""


class Radios:
    """All of them, while they are open. Make it inside a running loop; `run` is the laboratory's
    directory, `box` the port of the box."""

    def __init__(self, run: Path, box: int) -> None:
        self.run = run
        self.log = run / AIR_LOG
        self._box_port = box
        self._box = LineBox(random.SystemRandom(), echo=True)
        self._ptys: list[PtyEnd] = []
        self._devices: list[PeiTerminal | Map27Unit | SmsModemRig] = []

    async def open(self) -> None:
        """Switch everything on. Raises OSError when the port of the box is taken."""
        await self._box.open(self._box_port)
        pty = self._pty("radio-1", lambda data: terminal.feed(data))
        terminal: PeiTerminal = PeiTerminal(pty.write, self._air("radio-1"), Behaviour())
        pty = self._pty("radio-2", lambda data: unit.feed(data))
        unit: Map27Unit = Map27Unit(pty.write, self._air("radio-2"))
        pty = self._pty("sms-1", lambda data: modem.feed(data))
        modem: SmsModemRig = SmsModemRig(
            pty.write, self._air("sms-1"), lambda: datetime.now(UTC), Ways()
        )
        self._devices = [terminal, unit, modem]

    def _pty(self, name: str, heard: Callable[[bytes], None]) -> PtyEnd:
        pty = PtyEnd(heard, random.SystemRandom())
        pty.link(self.run / name)
        self._ptys.append(pty)
        return pty

    def _air(self, gateway: str) -> Air:
        def witness(way: str, number: str, data: bytes) -> None:
            line = {"at": datetime.now(UTC).isoformat(), "gateway": gateway, "way": way}
            line |= {"number": number, "hex": data.hex()}
            with self.log.open("a", encoding="ascii") as log:
                log.write(json.dumps(line) + "\n")

        return Air(dict(ANSWERS[gateway]), witness=witness)

    async def close(self) -> None:
        """Switch everything off."""
        for device in self._devices:
            device.close()
        for pty in self._ptys:
            pty.close()
        await self._box.close()

    @property
    def gateways(self) -> Mapping[str, Mapping[str, str]]:
        """What the port process is told of them."""
        return {
            "radio-1": {"driver": "tetra-pei", "port": str(self.run / "radio-1")},
            "radio-2": {"driver": "map27", "port": str(self.run / "radio-2")},
            "sms-1": {"driver": "sms", "port": str(self.run / "sms-1")},
            "channel-1": {
                "driver": "line-keyed",
                "port": f"rfc2217://{HOST}:{self._box_port}",
                "ptt": "RTS",
                "squelch": "CTS",
            },
        }

    def info(self) -> dict[str, Any]:
        """For `lab info`: the gateways, who is in the field behind each, and the air log."""
        field = {name: list(sets) for name, sets in ANSWERS.items()}
        found = {n: {**keys, "field": field.get(n, [])} for n, keys in self.gateways.items()}
        return {"gateways": found, "air_log": str(self.log)}


@dataclass(frozen=True, slots=True)
class OnAir:
    """One line of the air log. `at` is seconds since 1970; `way` heard or said, by `number`."""

    at: float
    way: str
    number: str
    data: bytes


def on_air(log: Path, gateway: str) -> list[OnAir]:
    """What the sets behind a gateway heard and said so far, in order."""
    try:
        lines = log.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
    found = [json.loads(line) for line in lines]
    return [
        OnAir(
            datetime.fromisoformat(one["at"]).timestamp(),
            one["way"],
            one["number"],
            bytes.fromhex(one["hex"]),
        )
        for one in found
        if one["gateway"] == gateway
    ]


def displayed(air: list[OnAir]) -> list[tuple[float, str]]:
    """The texts on a TETRA set's display, long ones joined, with the moment they were whole."""
    found: list[tuple[float, str]] = []
    begun = ""
    for one in air:
        shown = sds.text_of(sds.decode(one.data)) if one.way == "heard" else None
        if shown is None:
            continue
        part = shown.part
        begun = shown.text if part is None or part.number == 1 else begun + shown.text
        if part is None or part.number == part.total:
            found.append((one.at, begun))
    return found
