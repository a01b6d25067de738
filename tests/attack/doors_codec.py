"""Ground `codec`: what turns text into bytes for others, and bytes of others into text. No process.

These doors judge by themselves: a string is refused by the error that the codec declares, or it is
one value that comes back as it went in.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typer.testing import CliRunner

from bridge.asterisk.cel import CelReader, parse_rows
from bridge.asterisk.cel_calls import Tally
from bridge.asterisk.translate import EVENTS, Translator
from bridge.cli import app
from bridge.cli.output import shown, table
from bridge.domain.seen import Arrived
from bridge.settings.model import SettingsError
from bridge.tracks.naming import BadName, parse
from bridge.wire.agi import (
    AgiCommandError,
    AgiPeerError,
    encode_command,
    parse_environment,
    parse_target,
)
from bridge.wire.ami import AmiInjectionError, Decoder, Message, encode_action
from tests.attack.corpus import Hostile
from tests.attack.doors import door
from tests.attack.outputs import is_plain, said_plainly
from tests.desk.desk_kit import Clock
from tests.settings.settings_kit import settings, shipped

CALL = "1732421234.1"


@door("codec", "AMI action")
async def ami_action(_: object, strings: Sequence[Hostile]) -> None:
    for one in strings:
        for headers in ({"Value": one.text}, {"Variable": ["A=1", one.text]}):
            try:
                data = encode_action("Setvar", headers, "id-1")
            except AmiInjectionError as error:
                said_plainly(error, one)
                continue
            assert not one.breaks_lines, one
            names = [line.split(b":")[0] for line in data.split(b"\r\n") if line]
            assert names == [b"Action", b"ActionID", *(n.encode() for n in _names(headers))], one
        _refused({"Variable": "x", "variable": one.text}, one)
        if not one.text.isalnum():
            _refused({one.text: "x"}, one)


def _names(headers: dict[str, Any]) -> list[str]:
    return [n for n, value in headers.items() for _ in ([value] if type(value) is str else value)]


def _refused(headers: dict[str, str], one: Hostile) -> None:
    try:
        encode_action("Setvar", headers, "id-1")
    except AmiInjectionError:
        return
    raise AssertionError(one)


@door("codec", "AMI event")
async def ami_event(_: object, strings: Sequence[Hostile]) -> None:
    """Asterisk writes what a telephone told it; a line break never gets so far."""
    translator = Translator({"8001"}.__contains__, Clock.now)
    for one in strings:
        value = one.raw.translate(None, b"\r\n")
        for event in EVENTS:
            lines = [
                b"Event: " + event.encode(),
                b"UserEvent: CitizenArrived",
                *(b"%s: %s" % (name, value) for name in _FIELDS),
                b"ChanVariable: CASE=" + value,
                b"ChanVariable: LEG=" + value,
                b"ChanVariable: HANDOFF=" + value,
            ]
            [message] = Decoder().feed(b"Asterisk Call Manager/11.0.0\r\n" + _block(lines))
            assert list(translator.translate(message)) == [], one
        good = [b"Event: UserEvent", b"UserEvent: CitizenArrived", b"Uniqueid: " + CALL.encode(),
                b"Case: " + CALL.encode(), b"Channel: PJSIP/trunk-00000001", b"Number: " + value,
                b"Entry: " + value, b"Back: " + value]  # fmt: skip
        [arrived] = translator.translate(Message(b"\r\n".join(good)))
        assert isinstance(arrived, Arrived)
        assert re.fullmatch(r"[0-9+]{0,32}", arrived.number, re.ASCII), one
        assert re.fullmatch(r"[0-9.\-]{0,64}", arrived.back, re.ASCII), one
        assert arrived.entry in ("110", "12345"), one


_FIELDS = [
    *(b"Channel", b"Uniqueid", b"Linkedid", b"CallerIDNum", b"CallerIDName", b"Case", b"Number"),
    *(b"Leg", b"Handoff", b"Cause", b"BridgeUniqueid", b"ChannelState", b"Timestamp"),
]


def _block(lines: Sequence[bytes]) -> bytes:
    return b"\r\n".join([*lines, b"", b""])


@door("codec", "FastAGI command")
async def agi_command(_: object, strings: Sequence[Hostile]) -> None:
    for one in strings:
        try:
            line = encode_command("SET", "VARIABLE", "WORDS", one.text)
        except AgiCommandError as error:
            said_plainly(error, one)
            continue
        assert line.count(b"\n") == 1, one
        assert line.endswith(b"\n"), one
        assert not set(line) & {0, 13}, one


@door("codec", "FastAGI environment")
async def agi_environment(_: object, strings: Sequence[Hostile]) -> None:
    for one in strings:
        for block in (
            b"agi_network_script: accept?nonce=" + one.raw + b"\n\n",
            b"agi_network_script: " + one.raw + b"\nagi_callerid: 1\n\n",
            b"agi_network_script: accept\nagi_callerid: " + one.raw + b"\nagi_arg_1: x\n\n",
        ):
            try:
                headers = parse_environment(block)
                target = parse_target(headers)
            except AgiPeerError:
                continue
            assert set(headers) <= {"agi_network_script", "agi_callerid", "agi_arg_1"} or (
                one.breaks_lines  # the peer's own lines: it may write what it likes about itself
            ), one
            assert "\n" not in target.path, one


@door("codec", "CEL row")
async def cel_row(_: object, strings: Sequence[Hostile]) -> None:
    translator = Translator({"8001"}.__contains__, Clock.now)
    for one in strings:
        cells = ["CHAN_START", "1732421234.5", CALL, CALL, "PJSIP/trunk-00000001", "", "", "x", "s"]
        for place in range(len(cells)):
            spoiled = [*cells[:place], one.text, *cells[place + 1 :]]
            line = io.StringIO()
            csv.writer(line, quoting=csv.QUOTE_ALL).writerow(spoiled)
            data = line.getvalue().encode("utf-8", "surrogatepass")
            tally = Tally()
            rows = list(parse_rows(data))
            tally.take(rows)
            assert set(tally.calls) <= {CALL}, one
            reader = CelReader(translator, lambda _: None)
            seen = [found for row in rows for found in reader.translate(row, Clock.now())]
            assert seen == [], one


@door("codec", "name of a recording")
async def recording_name(_: object, strings: Sequence[Hostile]) -> None:
    for one in strings:
        for name in (one.text, f"{CALL}-{one.text}-1732421234000.wav", f"{one.text}-citizen-1.wav"):
            try:
                track = parse(name)
            except BadName as error:
                said_plainly(error, one)
                continue
            assert re.fullmatch(r"[A-Za-z0-9._-]+", str(track)), one


@door("codec", "settings file")
async def settings_file(_: object, strings: Sequence[Hostile]) -> None:
    """Every text of the shipped file is replaced in turn: refused with place and mend, or plain
    data; never a crash, never a control character in what is said about it."""
    text = shipped()
    places = [m.span(1) for m in re.finditer(r'^[a-z_0-9]+ = ("[^"\n]*")', text, re.MULTILINE)]
    assert len(places) > 15
    for one in strings:
        written = json.dumps(one.text.encode("utf-8", "replace").decode("utf-8"))
        for begin, end in places[:: max(1, len(places) // 6)]:
            _load(text[:begin] + written + text[end:], one)
        _load(one.text.encode("utf-8", "replace").decode("utf-8") + "\n" + text, one)


def _load(text: str, one: Hostile) -> None:
    try:
        found = settings(text)
    except SettingsError as error:
        said_plainly(error, one)
        return
    for target in found.targets().values():
        assert re.fullmatch(r"[A-Za-z0-9/@:._-]+", target.dial), one


@door("codec", "dialplan file")
async def dialplan_file(_: object, strings: Sequence[Hostile]) -> None:
    """Lint and explanation of a plan that holds it: an answer in plain characters, nothing run."""

    def look() -> None:
        with TemporaryDirectory() as place:
            file = Path(place) / "plan.conf"
            for number, one in enumerate(strings):
                file.write_bytes(
                    b"[from-trunk]\nexten => 110,1,Set(X=%s)\n same => n,Hangup()\n" % one.raw
                    + b"[%s]\nexten => s,1,%s()\n" % (one.raw, one.raw)
                )
                asked = [["lint", str(file)], ["explain", "110", "--path", str(file)]]
                for words in asked[: 1 + (number % 3 == 0)]:  # explaining reads all of lint's plan
                    done = CliRunner().invoke(app, ["dialplan", *words])
                    said = done.output
                    assert done.exit_code in (0, 1, 2), (one, done.exception)
                    assert done.exception is None or isinstance(done.exception, SystemExit), (
                        one,
                        done.exception,
                    )
                    assert is_plain(said), (one, [c for c in said if not is_plain(c)])

    await asyncio.to_thread(look)


@door("codec", "words on a terminal")
async def terminal(_: object, strings: Sequence[Hostile]) -> None:
    for one in strings:
        assert is_plain(shown(one.text)), one
        assert "\n" not in shown(one.text), one
        assert is_plain(table([[shown(one.text), "x"], ["y", "z"]])), one
