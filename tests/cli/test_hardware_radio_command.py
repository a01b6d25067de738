"""`bridge110 hardware` for radios: one process plays the device, the other uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.output import CommandError
from tests.cli.cli_kit import run


def hardware(*arguments: str, status: int = 0) -> Any:
    answer = run("hardware", *arguments, "--json")
    assert answer.status == status, answer.err
    return json.loads(answer.out)


@contextmanager
def emulated(kind: str, link: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "bridge", "hardware", "emulate", kind, "--link", str(link)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            until = time.monotonic() + 60
            while not link.is_symlink() and time.monotonic() < until:
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def script(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def test_a_terminal_is_emulated_probed_written_to_and_its_trace_replayed(tmp_path: Path) -> None:
    port = tmp_path / "radio-1"
    trace = tmp_path / "t.trace"
    with emulated("pei", port) as process:
        found = hardware("probe", "--port", str(port))
        assert (found["usable"], found["driver"]) == (True, "tetra-pei")
        sent = hardware(
            *("send", "--port", str(port), "--to", "2269001", "--text", "出警：中山路12号"),
            *("--trace", str(trace)),
        )
        assert sent["stages"] == ["sending", "sent", "delivered", "read"]
        script(process, "coverage off")
        lost = hardware("probe", "--port", str(port), status=1)
        assert lost["usable"] is False
    events = hardware("replay", str(trace), "--driver", "tetra-pei")["events"]
    words = [event["words"] for event in events]
    assert any("AT+CMGS=2269001,176" in text for text in words)
    assert any("report for an unknown reference" in text or "821" in text for text in words)


def test_a_map27_radio_and_an_sms_modem_carry_a_message(tmp_path: Path) -> None:
    for kind, driver, to in (("map27", "map27", "31/2001"), ("sms", "sms", "13800138000")):
        port = tmp_path / kind
        with emulated(kind, port):
            sent = hardware(
                *("send", "--port", str(port), "--driver", driver, "--to", to, "--text", "到场"),
                *("--seconds", "3"),
            )
        assert sent["stages"][-1] == "delivered"


def test_monitor_shows_what_comes_from_the_air_as_words_and_as_json(tmp_path: Path) -> None:
    port = tmp_path / "radio-1"
    with emulated("pei", port) as process:

        def comes() -> None:
            for _ in range(20):
                time.sleep(0.2)
                script(process, "text 2269001 到场\u200e")
                script(process, "status 2269001 0x8003")

        for more in ((), ("--json",)):
            coming = threading.Thread(target=comes)
            coming.start()
            answer = run("hardware", "monitor", "--port", port, "--seconds", "4", *more)
            coming.join()
            assert answer.status == 0
            lines = answer.out.splitlines()
            if more:
                found = [json.loads(line) for line in lines]
                assert {"Health", "StatusIn"} <= {one["event"] for one in found}
                (status, *_) = [one for one in found if one["event"] == "StatusIn"]
                assert (status["source"], status["value"]) == ("2269001", 0x8003)
            else:
                assert any("event=StatusIn source=2269001" in line for line in lines)
                assert any("text=到场\\u200e" in line for line in lines)
            assert "\u200e" not in answer.out, "nothing acts on the terminal"


def test_what_people_read_of_a_radio(tmp_path: Path) -> None:
    port, trace = tmp_path / "radio-1", tmp_path / "t.trace"
    with emulated("pei", port) as process:
        assert run("hardware", "probe", "--port", port).out == "✔ 已登记 / registered\n"
        answer = run("hardware", "send", "--port", port, "--to", "2269001", "--text", "到场")
        assert answer.out == "sending → sent → delivered → read\n"
        assert answer.err.split() == ["sending", "sent", "delivered", "read"]
        with pytest.raises(CommandError, match=r"bad-address: '31/1': .*is no SSI"):
            run("hardware", "send", "--port", port, "--to", "31/1", "--text", "到场")

        def comes() -> None:
            time.sleep(0.5)
            script(process, "restart")
            script(process, "coverage on")

        coming = threading.Thread(target=comes)
        coming.start()
        answer = run("hardware", "capture", "--port", port, "--to", trace, "--seconds", "1.5")
        coming.join()
        assert answer.out.startswith(f"{trace}: ")
        assert not answer.out.startswith(f"{trace}: 0 ")
        answer = run("hardware", "probe", "--port", port, "--trace", trace)
        assert answer.status == 0
    words = run("hardware", "replay", trace, "--driver", "tetra-pei").out
    assert "+CREG: 1,1,90109999" in words


def test_a_set_that_is_away_and_a_radio_without_coverage_end_with_status_1(tmp_path: Path) -> None:
    port = tmp_path / "radio-1"
    with emulated("pei", port) as process:
        script(process, "set 11 off")
        hardware("probe", "--port", str(port))
        send = ("send", "--port", str(port), "--text", "到场")
        assert hardware(*send, "--to", "11", "--seconds", "1")["stages"] == ["sending", "sent"]
        script(process, "coverage off")
        gone = run("hardware", *send, "--to", "22")
        assert gone.status == 1
        assert "not-registered" in gone.err


def test_selftest_on_our_own_box_prints_a_report() -> None:
    words = run("hardware", "selftest").out
    assert "✔  open_pulse  0.0 ms" in words
    report = {one["name"]: one for one in hardware("selftest")["report"]}
    assert set(report) == {"open_pulse", "lead_in", "held", "time_out"}
    assert report["open_pulse"]["value"] == 0
    assert all(one["good"] for one in report.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("probe", "--port", "/dev/ttyUSB9"), "number changes"),
        (("probe", "--port", "/dev/x", "--driver", "fm"), "driver"),
        (("probe", "--port", "/dev/x", "--model", "nokia"), "unknown model"),
        (("emulate", "toaster"), "pei"),
        (("selftest", "--port", "/dev/x"), "--watch"),
        (("selftest", "--port", "/nonexistent", "--watch", "/nonexistent"), "cannot be opened"),
        (("selftest", "--port", "/dev/ttyUSB1", "--watch", "/dev/ttyUSB2"), "number changes"),
        (("selftest", "--ptt", "!RTS"), "keys the radio"),
        (("replay", "/nonexistent", "--driver", "map27"), "nonexistent"),
        (
            ("capture", "--port", "/nonexistent", "--to", os.devnull, "--seconds", "0.5"),
            "nonexistent",
        ),
    ],
)
def test_what_is_wrong_is_said_with_place_and_mend(arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        run("hardware", *arguments)
