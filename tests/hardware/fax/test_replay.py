"""A call is traced octet by octet, and played again to the driver."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hardware.fax.modem import make_modem, probe
from hardware.fax.page import write_tiff
from hardware.fax.replay import ReplayError, replay
from hardware.fax.t30 import Outcome, Result
from hardware.fax.t30_settings import ReceiverSettings, SenderSettings
from hardware.fax.trace_words import words_of
from hardware.fax.watch import unwatched
from hardware.trace import Traced, read_trace
from tests.hardware.fax.lockstep import LineWire, PhoneLine
from tests.hardware.fax.pages import text_page
from tests.hardware.fax.spandsp import Terminal, library

BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)
CAPTURES = Path(__file__).parents[2] / "captures" / "fax"
PAGES = [text_page(1, 500), text_page(2, 300)]


class TracingWire(LineWire):
    """The line's wire, with every octet noted."""

    def __init__(self, line: PhoneLine) -> None:
        super().__init__(line)
        self.events: list[Traced] = []

    async def write(self, data: bytes) -> None:
        self.events.append(Traced(BEGAN + timedelta(seconds=self.now()), ">", data))
        await super().write(data)

    async def read(self, seconds: float) -> bytes:
        data = await super().read(seconds)
        if data:
            self.events.append(Traced(BEGAN + timedelta(seconds=self.now()), "<", data))
        return data


def traced_call(tmp_path: Path, *, sends: bool, ecm: bool) -> list[Traced]:
    file = tmp_path / "page.tif"
    if not sends:
        file.write_bytes(write_tiff(PAGES))
    terminal = Terminal(
        library(), calling=not sends, document=None if sends else file,
        into=file if sends else None, ecm=ecm,
    )  # fmt: skip
    line = PhoneLine(library(), terminal)
    wire = TracingWire(line)
    wire.modem = line.modem

    async def work() -> Outcome:
        modem = make_modem(wire, await probe(wire), unwatched)
        await modem.initialise()
        if sends:
            return await modem.send("800", PAGES, SenderSettings(identity="+8657"))
        line.ring()
        assert await modem.wait_ring(10.0)
        return (await modem.receive(ReceiverSettings(identity="110")))[0]

    try:
        assert line.run(work()).result is Result.DELIVERED
    finally:
        line.close()
    return wire.events


@pytest.mark.parametrize("ecm", [True, False])
@pytest.mark.parametrize("sends", [True, False])
def test_a_call_played_again_goes_the_same_way(tmp_path: Path, sends: bool, ecm: bool) -> None:
    again = replay(traced_call(tmp_path, sends=sends, ecm=ecm))
    assert again.difference is None
    assert (again.outcome.result, again.pages) == (Result.DELIVERED, 2)


def test_a_driver_that_would_say_something_else_is_shown(tmp_path: Path) -> None:
    events = traced_call(tmp_path, sends=True, ecm=True)
    at = next(n for n, e in enumerate(events) if e.data.startswith(b"AT+FTM=145"))
    events[at] = replace(events[at], data=b"AT+FTM=99\r")
    again = replay(events)
    assert again.outcome.result is not Result.DELIVERED
    assert again.difference is not None
    assert again.difference.then.startswith(b"99")
    assert again.difference.now.startswith(b"145")


def test_what_is_no_call_is_refused() -> None:
    with pytest.raises(ReplayError):
        replay([])
    with pytest.raises(ReplayError):
        replay([Traced(BEGAN, ">", b"AT\r"), Traced(BEGAN, "<", b"\r\nOK\r\n")])


def test_the_trace_reads_as_a_dialogue(tmp_path: Path) -> None:
    said = [(one.way, one.words) for one in words_of(traced_call(tmp_path, sends=True, ecm=True))]
    words = [text for _, text in said]
    assert ("<", "DIS V.17 14400 ECM T.6") in said
    assert (">", "TSI '+8657'") in said
    assert (">", "DCS V.17 14400 MMR ECM fine") in said
    assert words.index("CFR") < words.index("MCF") < words.index("DCN")


@pytest.mark.parametrize("file", sorted(CAPTURES.glob("*.trace")), ids=lambda file: file.stem)
def test_captured_calls_go_the_same_way_today(file: Path) -> None:
    again = replay(list(read_trace(file)))
    assert again.difference is None
    assert again.outcome.result is Result.DELIVERED
