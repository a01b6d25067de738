"""Driver against emulator over a line that loses octets, whatever happens in whatever order.

Promises: what is told delivered was heard by that set; no text goes out twice by the driver's own
doing; after the faults are gone the terminal serves again.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hardware.radio import sds
from hardware.radio.events import RadioRefused, Stage, TextIn
from hardware.radio.tetra_pei import TetraPei
from hardware.rig.air import Set
from hardware.rig.pei_terminal import PeiTerminal
from tests.hardware.radio.radio_kit import PEI, Rig, pei

NUMBERS = ("11", "22", "33")
DIALECT = dataclasses.replace(PEI, answer_s=0.15, probe_s=0.2, sent_wait_s=0.1)
SETTLE_S = 0.15


class DriverOnBadLine(RuleBasedStateMachine):
    """One run is one terminal, from plugging in to the end."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = contextlib.AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.count = 0
        self.texts: dict[str, tuple[str, str]] = {}

    def run(self, seconds: float = SETTLE_S) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @initialize()
    def plug_in(self) -> None:
        made = pei(Path(self.folder.name), DIALECT)
        entered = self.stack.enter_async_context(made)
        self.rig: Rig[TetraPei, PeiTerminal] = self.loop.run_until_complete(entered)

    @rule(number=st.sampled_from(NUMBERS), length=st.sampled_from((1, 30, 60, 200)))
    def send(self, number: str, length: int) -> None:
        self.count += 1
        key = f"k{self.count}"
        text = f"{self.count:03d}" + "警" * length
        try:
            self.loop.run_until_complete(self._send(key, number, text))
        except RadioRefused:
            return
        self.texts[key] = (number, text)
        self.run()

    async def _send(self, key: str, number: str, text: str) -> None:
        self.rig.driver.send_text(key, number, text)

    @rule(share=st.sampled_from((0.0, 0.002, 0.02)))
    def lose(self, share: float) -> None:
        self.rig.pty.faults_in.lose = self.rig.pty.faults_out.lose = share

    @rule(there=st.booleans())
    def coverage(self, there: bool) -> None:
        self.loop.call_soon(self.rig.radio.set_coverage, there)
        self.run(0.05)

    @rule(number=st.sampled_from(NUMBERS), on=st.booleans(), doubled=st.booleans())
    def switch(self, number: str, on: bool, doubled: bool) -> None:
        self.rig.air.sets[number] = Set(on=on, doubled=doubled, reordered=doubled)

    @rule()
    def restart(self) -> None:
        self.loop.call_soon(self.rig.radio.restart)
        self.run(0.05)

    @rule()
    def pull_and_plug(self) -> None:
        self.rig.pty.pull()
        self.run(0.05)
        self.rig.radio.restart()

        async def plug() -> None:
            self.rig.pty.plug()

        self.loop.run_until_complete(plug())
        self.run()

    @rule(times=st.integers(1, 3))
    def busy(self, times: int) -> None:
        self.rig.radio.ways.busy = times

    @rule(number=st.sampled_from(NUMBERS))
    def incoming(self, number: str) -> None:
        self.loop.call_soon(self.rig.radio.text_from, number, "收到")
        self.run(0.05)

    @invariant()
    def what_is_told_delivered_was_heard_by_that_set(self) -> None:
        for key, (number, text) in self.texts.items():
            stages = self.rig.stages(key)
            if Stage.DELIVERED in stages or Stage.READ in stages:
                heard = self._heard(number)
                assert all(piece in heard for piece in sds.pieces(text, DIALECT.max_bits))

    @invariant()
    def no_part_goes_out_twice(self) -> None:
        if self.texts:
            everything = [part for number in NUMBERS for part in self._heard(number)]
            ours = [part for part in everything if part[:3].isdecimal()]
            assert len(ours) == len(set(ours)), "a text went out twice without its owner's wish"

    @invariant()
    def stages_only_grow(self) -> None:
        order = [
            Stage.SENDING,
            Stage.UNKNOWN,
            Stage.SENT,
            Stage.FAILED,
            Stage.DELIVERED,
            Stage.READ,
        ]
        for key in self.texts:
            ranks = [order.index(stage) for stage in self.rig.stages(key)]
            assert ranks == sorted(ranks)

    def _heard(self, number: str) -> list[str]:
        texts = [sds.text_of(sds.decode(pdu)) for to, pdu in self.rig.air.heard if to == number]
        return [text.text for text in texts if text is not None]

    def teardown(self) -> None:
        try:
            if hasattr(self, "rig"):
                self.loop.run_until_complete(self._recover())
        finally:
            self.loop.run_until_complete(self.stack.aclose())
            self.loop.close()
            self.folder.cleanup()

    async def _recover(self) -> None:
        r = self.rig
        r.pty.faults_in.lose = r.pty.faults_out.lose = 0.0
        r.radio.ways.busy = 0
        r.radio.set_coverage(True)
        r.air.sets["44"] = Set()
        async with asyncio.timeout(60):
            count = 0
            while not any(Stage.READ in r.stages(f"end{n}") for n in range(count + 1)):
                count += 1
                with contextlib.suppress(RadioRefused):
                    r.driver.send_text(f"end{count}", "44", "完")
                await asyncio.sleep(0.3)
        assert all(isinstance(text.text, str) for text in r.of(TextIn))


DriverOnBadLine.TestCase.settings = settings(
    max_examples=int(os.environ.get("BRIDGE110_STATEFUL_EXAMPLES", "3")),
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestDriverOnBadLine = DriverOnBadLine.TestCase
