"""A modem that says anything at any time: every call ends, and nothing is called delivered that
no far machine has confirmed."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Coroutine, Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.fax.class1 import Class1
from hardware.fax.class2 import Class2
from hardware.fax.hdlc import DLE_ETX, with_fcs
from hardware.fax.model import Model, ModelError, all_models, model_of, read_model
from hardware.fax.modem_at import ModemFault
from hardware.fax.t30 import Cause, Outcome, Result
from hardware.fax.t30_frames import Fcf, build_frame
from hardware.fax.t30_receiver import Receiver
from hardware.fax.t30_sender import Sender
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.fax.watch import unwatched
from hardware.fax.wire import WireGone
from tests.hardware.fax.pages import plain_page

CODES = [
    *(f"\r\n{code}\r\n".encode() for code in (
        "OK", "CONNECT", "NO CARRIER", "ERROR", "BUSY", "+FCERROR", "+FRH:3", "RING", "+FHNG:50",
        "+FPTS:1", "CONNECT FAX", "DELAYED 00:05",
    )),
    *(b"\x13", b"\x11", b"\xff\x13", bytes(300), b""),
]  # fmt: skip
FRAMES = [
    with_fcs(build_frame(fcf, fif, x=False)) + DLE_ETX
    for fcf, fif in (
        (Fcf.DIS, bytes.fromhex("00EEF844")), (Fcf.CFR, b""), (Fcf.FTT, b""), (Fcf.RTN, b""),
        (Fcf.PPR, b"\xff" * 32), (Fcf.RNR, b""), (Fcf.DCN, b""), (Fcf.CRP, b""), (Fcf.CTR, b""),
        (Fcf.DCS, bytes.fromhex("006278")), (Fcf.EOP, b""), (Fcf.PPS, bytes(4)),
    )
]  # fmt: skip
"""Everything but a confirmation."""


class _Wait:
    def __await__(self) -> Generator[None, None, None]:
        yield


class BabbleWire:
    """Answers each reading with the next thing of a list, then with silence; time flies."""

    def __init__(self, says: list[bytes], gone_after: int | None) -> None:
        self._says = iter(says)
        self._left = gone_after
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def write(self, data: bytes) -> None:
        await self._pass(0.01)

    async def read(self, seconds: float) -> bytes:
        said = next(self._says, b"")
        await self._pass(0.02 if said else max(seconds, 0.001))
        return said

    async def drop_dtr(self) -> None:
        await self._pass(2.7)

    async def _pass(self, seconds: float) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise WireGone("unplugged")
        self.time += seconds
        assert self.time < 9000, "no end"
        await _Wait()


def run(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    for _ in range(200_000):
        try:
            work.send(None)
        except StopIteration as done:
            outcome: Outcome = done.value
            return outcome
    raise AssertionError("no end")


SAYS = st.lists(
    st.one_of(st.sampled_from(CODES), st.sampled_from(FRAMES), st.binary(max_size=30)), max_size=80
)
GONE = st.one_of(st.none(), st.integers(0, 120))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(SAYS, GONE)
def test_a_call_on_a_babbling_modem_ends(says: list[bytes], gone: int | None) -> None:
    page = plain_page(1, 30)
    wire = BabbleWire(says, gone)
    sender = Sender([page], SenderSettings())
    outcome = run(Class1(wire, Model()).dial("1", sender))
    assert outcome.result is not Result.DELIVERED
    receiver = Receiver(ReceiverSettings())
    outcome = run(Class1(BabbleWire(says, gone), Model()).answer(receiver))
    assert outcome.result is not Result.DELIVERED


@settings(max_examples=150, derandomize=True, deadline=None)
@given(SAYS, GONE, st.sampled_from(["2", "2.0"]))
def test_a_class_2_call_on_a_babbling_modem_ends(
    says: list[bytes], gone: int | None, fax_class: str
) -> None:
    page = plain_page(1, 30)
    driver = Class2(BabbleWire(says, gone), Model(), unwatched, fax_class)
    run(driver.send("1", [page], SenderSettings()))
    other = Class2(BabbleWire(says, gone), Model(), unwatched, fax_class)

    async def take() -> Outcome:
        return (await other.receive(ReceiverSettings()))[0]

    run(take())


def test_initialising_a_modem_that_babbles_ends_too() -> None:
    chance = random.Random(3)
    for _ in range(50):
        says = [chance.choice(CODES) for _ in range(200)]

        async def work(says: list[bytes] = says) -> Outcome:
            modem = Class1(BabbleWire(says, None), Model())
            with contextlib.suppress(ModemFault):
                await modem.initialise()
            return Outcome(Result.NOT_DELIVERED, Cause.MODEM, 0)

        run(work())


def test_models_are_data_that_is_read_strictly(tmp_path: Any) -> None:
    models = all_models()
    assert {"iaxmodem", "conexant", "usrobotics"} <= set(models)
    assert model_of("spandsp 0.0.6").name == "iaxmodem"
    assert model_of("U.S. Robotics 56K").name == "usrobotics"
    assert model_of("something").name == "standard"
    file = tmp_path / "bad.toml"
    for text in ('pauze = "x"', "ahead_s = true", "name = 3", "= 1", 'init = "AT"'):
        file.write_text(text)
        with pytest.raises(ModelError, match=r"bad\.toml"):
            read_model(file)
