"""`bridge110 hardware`, on the emulated fax modem."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli.hardware_fax import Progress, outcome_words
from bridge.cli.output import CommandError
from hardware.fax.page import Page, read_tiff, write_tiff
from hardware.fax.rates import V17_14400
from hardware.fax.t30 import Agreed, Cause, Outcome, PageStarted, Result
from hardware.fax.t30_frames import Chosen, Coding
from hardware.rig.class2_far import Far, FarMachine
from hardware.rig.class2_line import Class2Line
from hardware.rig.class2_modem import Class2Modem
from tests.cli.cli_kit import run
from tests.hardware.fax.pages import plain_page
from tests.hardware.fax.test_class2 import pictures

PAGE = plain_page(1, 200)


class Rig:
    """The modem with an event loop of its own, as commands have theirs."""

    def __init__(self, device: Path) -> None:
        self.device = device
        self.far = FarMachine(documents=[PAGE.coded(Coding.MH)])
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.line = asyncio.run_coroutine_threadsafe(self._make(), self.loop).result(10)

    async def _make(self) -> Class2Line:
        return Class2Line(Class2Modem(self.far, pace=0.2), self.device)

    def ring(self) -> None:
        self.loop.call_soon_threadsafe(self.line.ring)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.line.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "modem")
    yield made
    made.close()


def test_list_answers_on_any_machine() -> None:
    answer = run("hardware", "list", "--json")
    assert answer.status == 0
    assert isinstance(json.loads(answer.out)["devices"], list)


def test_probe_and_status(rig: Rig, tmp_path: Path) -> None:
    known = json.loads(run("hardware", "fax", "probe", rig.device, "--no-flow", "--json").out)
    assert known["class"] == "2.0"
    assert "RIG" in known["about"]
    away = tmp_path / "nothing"
    answer = run("hardware", "fax", "status", rig.device, away, "--no-flow", "--json")
    assert answer.status == 1
    assert [one["ready"] for one in json.loads(answer.out)["modems"]] == [True, False]


def test_a_document_is_sent_and_the_trace_reads_as_a_dialogue(rig: Rig, tmp_path: Path) -> None:
    document, trace = tmp_path / "order.tif", tmp_path / "trace"
    document.write_bytes(write_tiff([PAGE]))
    flags = ("--no-flow", "--id", "+8657", "--trace", trace, "--json")
    answer = run("hardware", "fax", "send", rig.device, "057112345", document, *flags)
    (sent,) = json.loads(answer.out)["outcomes"]
    assert (answer.status, sent["result"], sent["pages"]) == (0, "delivered", 1)
    assert sent["chosen"]["bps"] == 14400
    assert pictures(rig.far.received) == [PAGE]
    words = run("hardware", "fax", "trace", trace).out
    assert "ATDT057112345" in words
    assert "octets of data" in words


def test_a_document_to_several_numbers_has_an_outcome_for_each(rig: Rig, tmp_path: Path) -> None:
    document = tmp_path / "order.tif"
    document.write_bytes(write_tiff([PAGE]))
    rig.far.statuses = [1, 2, 2, 2]
    flags = ("--also", "222", "--also", "111", "--no-flow", "--json")
    answer = run("hardware", "fax", "send", rig.device, "111", document, *flags)
    sent = json.loads(answer.out)["outcomes"]
    assert [(one["number"], one["result"]) for one in sent] == [
        ("111", "delivered"), ("222", "not delivered"),
    ]  # fmt: skip
    assert answer.status == 1


def test_a_document_that_is_refused_is_not_called_delivered(rig: Rig, tmp_path: Path) -> None:
    document = tmp_path / "order.tif"
    document.write_bytes(write_tiff([PAGE]))
    rig.far.statuses = [2, 2, 2]
    answer = run("hardware", "fax", "send", rig.device, "1", document, "--no-flow")
    assert answer.status == 1
    assert "not delivered" in answer.out
    assert "may hold" in answer.out


def test_a_fax_is_received_into_a_file(rig: Rig, tmp_path: Path) -> None:
    threading.Timer(1.0, rig.ring).start()
    answer = run(
        "hardware", "fax", "receive", rig.device, "--into", tmp_path / "in", "--no-flow", "--json"
    )
    got = json.loads(answer.out)
    assert (answer.status, got["result"], got["far_id"]) == (0, "delivered", "057188888888")
    assert read_tiff(Path(got["file"])) == (PAGE,)


@pytest.mark.parametrize(
    ("number", "identity", "words"),
    [("8 0", "", "only digits"), ("80;H", "", "only digits"), ("80", 'x"', "fax identity")],
)
def test_what_must_not_reach_the_modem_is_refused(
    rig: Rig, tmp_path: Path, number: str, identity: str, words: str
) -> None:
    document = tmp_path / "order.tif"
    document.write_bytes(write_tiff([PAGE]))
    with pytest.raises(CommandError, match=words):
        run("hardware", "fax", "send", rig.device, number, document, "--id", identity)
    assert rig.line.modem.commands == []


def test_no_modem_and_no_document_are_said_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nothing"):
        run("hardware", "fax", "probe", tmp_path / "nothing")
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0" + b"\xff" * 50)
    with pytest.raises(CommandError, match="damaged"):
        run("hardware", "fax", "send", tmp_path / "nothing", "1", broken)
    with pytest.raises(CommandError, match="cannot be read"):
        run("hardware", "fax", "trace", tmp_path / "nothing")


def test_the_progress_line_shows_page_speed_and_ecm() -> None:
    progress = Progress(3)
    assert "dialling" in progress.words(0.0)
    chosen = Chosen(V17_14400, True, Coding.MMR, 0, True, 256, 1728)
    progress.seen(Agreed(chosen, "1"))
    progress.seen(PageStarted(2, 18000))
    words = progress.words(float("inf"))
    assert all(part in words for part in ("2/3", "100 %", "14400", "MMR", "ECM"))


def test_an_unconfirmed_page_is_a_word_of_its_own() -> None:
    outcome = Outcome(Result.UNCONFIRMED, Cause.NO_PAGE_RESPONSE, 0, True)
    assert "not confirmed" in outcome_words(outcome, 1)
    assert "not delivered" not in outcome_words(outcome, 1)


def test_a_captured_call_is_played_again_and_a_torn_one_is_refused(tmp_path: Path) -> None:
    captures = Path(__file__).parents[1] / "captures" / "fax"
    whole = captures / "iaxmodem-send-ecm.trace"
    again = run("hardware", "replay", whole, "--json")
    assert again.status == 0
    assert json.loads(again.out)["outcome"]["result"] == "delivered"
    torn = tmp_path / "torn.trace"
    torn.write_text("".join(whole.read_text().splitlines(keepends=True)[:3]))
    with pytest.raises(CommandError, match="cannot be played again"):
        run("hardware", "replay", torn)


BAD_FILES = {
    "no page": (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "damaged"),
    "damaged": (write_tiff([PAGE])[:200], "damaged"),
    "a bomb": (write_tiff([Page(bytes(216 * 4))] * 500), "more than 100 pages"),
    "too wide": (write_tiff([Page(bytes(256 * 4), 2048)]), "1728"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_sent_is_refused_before_anything_is_dialled(
    rig: Rig, tmp_path: Path, name: str
) -> None:
    octets, words = BAD_FILES[name]
    document = tmp_path / "order.tif"
    document.write_bytes(octets)
    with pytest.raises(CommandError, match=words):
        run("hardware", "fax", "send", rig.device, "1", document, "--no-flow")
    assert rig.line.modem.number == ""


@pytest.mark.parametrize(
    ("kind", "words"), [("voice", "no fax answers"), ("busy", "busy"), ("no answer", "no answer")]
)
def test_a_person_at_the_far_end_is_said_as_it_is(
    rig: Rig, tmp_path: Path, kind: Far, words: str
) -> None:
    document = tmp_path / "order.tif"
    document.write_bytes(write_tiff([PAGE]))
    rig.far.kind = kind
    answer = run("hardware", "fax", "send", rig.device, "1", document, "--no-flow")
    assert answer.status == 1
    assert f"not delivered: {words}, 0/1" in answer.out


def test_without_devices_the_port_process_is_asked(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="start bridge110-ports"):
        run("hardware", "fax", "status", "--socket", tmp_path / "none.sock")
