"""The port process: nothing is lost, nothing goes out twice, whoever dies and whenever."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import shutil
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.channels.ports_client import PortsAway, PortsClient, PortsRefused
from hardware.gateways import GatewayError, read_gateways
from hardware.ports.journal import Journal, JournalError, State
from hardware.ports.wire import MAX_MESSAGE, Decoder, PortsProtocolError, encode
from hardware.rig.air import Air, Set
from hardware.rig.map27_unit import Map27Unit
from hardware.rig.pty import PtyEnd
from tests.hardware.ports.ports_kit import OFFICER, job, owner, process, terminal
from tests.hardware.pty_kit import until


async def test_a_job_goes_out_and_every_step_is_told_and_stored(tmp_path: Path) -> None:
    async with terminal(tmp_path) as t, process(tmp_path) as p, owner(tmp_path / "ports.sock") as o:
        t.air.sets[OFFICER] = Set(reply_text="收到，到场")
        await o.client.submit(job("o1.1"))
        await o.wait_stage("o1.1", "read")
        assert o.stages("o1.1") == ["sending", "sent", "delivered", "read"]
        await until(lambda: any(body["kind"] == "text" for _, body in o.things))
        (text,) = [body for _, body in o.things if body["kind"] == "text"]
        assert (text["source"], text["text"], text["channel"]) == (OFFICER, "收到，到场", "radio")
        await until(lambda: p.things() == [])
        assert [seq for seq, _ in o.things] == sorted({seq for seq, _ in o.things})


async def test_the_same_job_again_is_taken_and_does_nothing(tmp_path: Path) -> None:
    async with terminal(tmp_path) as t, process(tmp_path), owner(tmp_path / "ports.sock") as o:
        await o.client.submit(job("k"))
        await o.wait_stage("k", "read")
        await o.client.submit(job("k"))
        await asyncio.sleep(0.1)
        assert len(t.radio.sent) == 1


async def test_what_the_owner_has_not_stored_is_said_again(tmp_path: Path) -> None:
    async with terminal(tmp_path) as t, process(tmp_path) as p:
        async with owner(tmp_path / "ports.sock") as o:
            await o.client.submit(job("k"))
        await until(lambda: any(b["body"].get("stage") == "read" for b in p.things()))
        t.radio.status_from(OFFICER, 0x8003)
        await until(lambda: any(b["body"]["kind"] == "status" for b in p.things()))
        async with owner(tmp_path / "ports.sock") as again:
            await again.wait_stage("k", "read")
            await until(lambda: any(b["kind"] == "status" for _, b in again.things))
            await until(lambda: p.things() == [])


async def test_a_text_is_acknowledged_on_the_air_once_it_is_written_down(tmp_path: Path) -> None:
    async with terminal(tmp_path) as t, process(tmp_path) as p:
        t.radio.text_from(OFFICER, "到场")
        await until(lambda: len(t.radio.sent) == 1)
        assert [b["body"]["kind"] for b in p.things()] == ["text"]
    text = (tmp_path / "ports.journal").read_text()
    assert json.loads(text.splitlines()[-1])["body"]["kind"] == "text"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (job("k", address="31/2001"), "bad-address"),
        ({**job("k"), "channel": "sms"}, "bad-address"),
        ({**job("k" * 300)}, "refused"),
    ],
)
async def test_a_job_without_a_way_is_refused(
    tmp_path: Path, body: dict[str, object], why: str
) -> None:
    async with terminal(tmp_path), process(tmp_path), owner(tmp_path / "ports.sock") as o:
        with pytest.raises(PortsRefused) as refused:
            await o.client.submit(body)
        assert refused.value.why == why


async def test_a_text_with_a_command_hidden_in_it_never_reaches_the_line(tmp_path: Path) -> None:
    async with terminal(tmp_path) as t, process(tmp_path), owner(tmp_path / "ports.sock") as o:
        for n, text in enumerate(("到场\x1a\rAT+CTOM=1\r", "x\ud842", "a\x00b")):
            await o.client.submit(job(f"k{n}", text))
            await o.wait_stage(f"k{n}", "failed")
        assert t.radio.sent == []
        assert not any("CTOM" in line for line in t.radio.log)


async def test_without_the_port_process_a_job_is_refused_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.channels.ports_client.ANSWER_S", 0.2)
    async with owner(tmp_path / "ports.sock") as o:
        with pytest.raises(PortsAway) as away:
            await o.client.submit(job("k"))
        assert not away.value.begun
        with pytest.raises(PortsAway):
            await o.client.ask("list")


async def test_tools_may_look_and_nothing_else(tmp_path: Path) -> None:
    async with terminal(tmp_path), process(tmp_path), owner(tmp_path / "ports.sock") as o:
        await until(lambda: o.client.up)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "ports.sock")
        decoder = Decoder()

        async def ask(body: dict[str, object]) -> dict[str, object]:
            writer.write(encode(body))
            while True:
                for answer in decoder.feed(await reader.read(65536)):
                    if answer["type"] == "answer":
                        return answer

        found = (await ask({"type": "list", "id": 1}))["gateways"]
        assert isinstance(found, list)
        assert (found[0]["name"], found[0]["usable"]) == ("radio-1", True)
        assert (await ask({"type": "test", "id": 2, "channel": "radio", "address": "5"}))[
            "words"
        ] == ""
        for kind in ("job", "ack", "withdraw", "shutdown"):
            assert "error" in await ask({"type": kind, "id": 3, "key": "k"})
        writer.write(b"\xff\xff\xff\xff")
        (told,) = decoder.feed(await reader.read())
        assert told["type"] == "error"
        assert "not understood" in told["words"]
        writer.close()
        assert (await o.client.ask("look", key="none"))["stage"] is None


async def test_killed_after_every_write_nothing_is_lost_and_nothing_goes_out_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is kept as it stood after each of its writes; each copy is an earlier death."""
    copies: list[Path] = []
    real = Journal._write

    def copying(self: Journal, data: bytes) -> None:
        real(self, data)
        copy = tmp_path / f"dead-{len(copies)}.journal"
        shutil.copy(tmp_path / "ports.journal", copy)
        copies.append(copy)

    async with terminal(tmp_path) as t:
        t.air.sets[OFFICER] = Set(reply_status=0x8003)
        with monkeypatch.context() as patch:
            patch.setattr(Journal, "_write", copying)
            async with process(tmp_path), owner(tmp_path / "ports.sock") as o:
                await o.client.submit(job("k"))
                await o.wait_stage("k", "read")
                await until(lambda: any(b["kind"] == "status" for _, b in o.things))
        assert len(copies) >= 5
        whole = len(t.radio.sent)
        assert whole == 1
        for copy in copies:
            async with process(tmp_path, copy), owner(tmp_path / "ports.sock") as again:
                await again.client.submit(job("k"))
                state = State()
                for line in copy.read_bytes().splitlines():
                    state.apply(json.loads(line))
                if state.jobs.get("k", {"stage": "over"}).get("stage") in (None, "sending"):
                    await again.wait_stage("k", "unknown")
                await asyncio.sleep(0.02)
            assert len(t.radio.sent) == whole, "sent again after a death"


async def test_a_late_report_after_a_death_still_counts(tmp_path: Path) -> None:
    async with terminal(tmp_path) as t:
        t.air.sets[OFFICER] = Set(received=False, consumed=False)
        async with process(tmp_path), owner(tmp_path / "ports.sock") as o:
            await o.client.submit(job("k"))
            await o.wait_stage("k", "sent")
        reference = t.radio.sent[0][1][2]
        async with process(tmp_path), owner(tmp_path / "ports.sock") as again:
            t.pty.write(
                f"\r\n+CTSDSR: 12,{OFFICER},0,9001,0,32\r\n821002{reference:02X}\r\n".encode()
            )
            await again.wait_stage("k", "read")


async def test_the_real_process_killed_under_way_comes_back(tmp_path: Path) -> None:
    """`bridge110 ports` under SIGKILL: the journal tells, the radio has the text once."""

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "ports"),
            *("--gateways", str(tmp_path / "gateways.toml"), "--state", str(tmp_path / "state")),
            *("--socket", str(tmp_path / "run" / "ports.sock"), "--trace", str(tmp_path / "trace")),
            stderr=asyncio.subprocess.DEVNULL,
        )

    async with terminal(tmp_path) as t, owner(tmp_path / "run" / "ports.sock") as o:
        running = await start()
        try:
            await o.client.submit(job("k"))
            await until(lambda: bool(t.radio.sent))
            running.send_signal(signal.SIGKILL)
            await running.wait()
            running = await start()
            await until(lambda: bool({"unknown", "read"} & set(o.stages("k"))))
            await o.client.submit(job("k2", "到场"))
            await o.wait_stage("k2", "read")
            texts = [address for address, pdu in t.radio.sent if pdu[0] in (0x82, 0x8A)]
            assert texts == [OFFICER, OFFICER]
            running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                assert await running.wait() == 0
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
    assert list((tmp_path / "trace").iterdir())
    assert os.path.exists(tmp_path / "state" / "ports.journal")


async def test_a_torn_last_line_is_cut_and_a_spoilt_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"e":"thing","seq":7,"body":{"kind":"x"}}\n{"e":"thing","seq":8,"bo')
    journal = Journal(path)
    await journal.open()
    assert (journal.state.last, list(journal.state.things)) == (7, [7])
    journal.close()
    path.write_bytes(b"not a journal\n")
    with pytest.raises(JournalError, match="j:1"):
        await Journal(path).open()


async def test_a_disk_that_takes_little_at_a_time_and_then_nothing_costs_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j"
    lines = [{"e": "thing", "seq": n, "body": {"kind": "x"}} for n in range(1, 30)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    whole = path.read_bytes()
    real = os.write
    room = 100

    def little(descriptor: int, data: memoryview) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, "full")
        written = real(descriptor, data[: min(7, room)])
        room -= written
        return written

    monkeypatch.setattr("hardware.ports.journal.os.write", little)
    with pytest.raises(JournalError, match="full"):
        await Journal(path).open()
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]
    room = 10 * len(whole)
    for _ in range(2):
        journal = Journal(path)
        await journal.open()
        journal.close()
        assert list(journal.state.things) == list(range(1, 30))


async def test_a_journal_rewritten_while_lines_come_in_keeps_every_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardware.ports.journal.MAX_FILE", 0)
    rewritten = 0
    real = Journal._rewrite

    def counting(self: Journal, data: bytes) -> None:
        nonlocal rewritten
        rewritten += 1
        if rewritten % 3 == 2:
            raise OSError(errno.ENOSPC, "full")
        real(self, data)

    monkeypatch.setattr(Journal, "_rewrite", counting)
    journal = Journal(tmp_path / "j")
    await journal.open()
    stop = asyncio.Event()
    running = asyncio.ensure_future(journal.run(stop))
    for n in range(1, 121):
        journal.shrink()
        await asyncio.sleep(0)
        entries: list[dict[str, Any]] = [{"e": "thing", "seq": n, "body": {"n": n}}]
        entries += [{"e": "ack", "seq": n - 1}] if n % 2 else []
        synced = journal.append(entries)
        if n % 3 == 0:
            await synced
    await synced
    stop.set()
    await running
    journal.close()
    assert rewritten > 5
    again = Journal(tmp_path / "j")
    monkeypatch.undo()
    await again.open()
    again.close()
    assert again.state == journal.state


async def test_a_document_above_the_limit_is_refused_and_the_link_stays(tmp_path: Path) -> None:
    async with terminal(tmp_path), process(tmp_path), owner(tmp_path / "ports.sock") as o:
        with pytest.raises(PortsRefused) as refused:
            await o.client.submit(job("big", "x" * MAX_MESSAGE))
        assert refused.value.why == "too-long"
        await o.client.submit(job("k"))
        await o.wait_stage("k", "read")


async def test_a_thing_of_megabytes_reaches_its_owner_and_one_above_the_limit_harms_nobody(
    tmp_path: Path,
) -> None:
    sizes = {1: 2 << 20, 2: MAX_MESSAGE, 3: 1}
    lines = [
        json.dumps({"e": "thing", "seq": n, "body": {"kind": "x", "at": "", "tiff": "x" * size}})
        for n, size in sizes.items()
    ]
    (tmp_path / "ports.journal").write_text("\n".join(lines) + "\n")
    async with terminal(tmp_path) as t, process(tmp_path) as p, owner(tmp_path / "ports.sock") as o:
        await until(lambda: len(o.things) == 2)
        assert [(seq, len(body["tiff"])) for seq, body in o.things] == [(1, 2 << 20), (3, 1)]
        t.radio.status_from(OFFICER, 0x8003)
        await until(lambda: len(o.things) == 3)
        assert o.client.up
        await until(lambda: [thing["seq"] for thing in p.things()] == [2])


async def test_who_has_not_said_that_it_owns_the_ports_gets_short_shrift_and_the_owner_none(
    tmp_path: Path,
) -> None:
    async with terminal(tmp_path), process(tmp_path), owner(tmp_path / "ports.sock") as o:
        await until(lambda: o.client.up)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "ports.sock")
        writer.write((1 << 20).to_bytes(4, "big") + b"{")
        answered = Decoder().feed(await reader.read())
        assert [body["type"] for body in answered] == ["error"]
        writer.close()
        await o.client.submit(job("k", "x" * 900))
        await o.wait_stage("k", "read")


async def test_what_is_not_durable_yet_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    real = Journal._write

    def slow(self: Journal, data: bytes) -> None:
        if b'"delivered"' in data:
            gate.wait(20)
        real(self, data)

    async with terminal(tmp_path), process(tmp_path) as p, owner(tmp_path / "ports.sock") as o:
        monkeypatch.setattr(Journal, "_write", slow)
        await o.client.submit(job("k"))
        await o.wait_stage("k", "sent")
        await until(lambda: p._journal.state.jobs.get("k", {}).get("stage") != "sent")
        looking = asyncio.ensure_future(o.client.ask("look", key="k"))
        await asyncio.wait((looking,), timeout=0.2)
        assert not looking.done()
        gate.set()
        assert (await looking)["told"]["stage"] in ("delivered", "read")


async def test_a_thing_that_could_not_be_stored_is_said_again_in_its_order(tmp_path: Path) -> None:
    kept: list[int] = []
    failures = 2

    async def take(body: Mapping[str, Any], seq: int) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError(errno.ENOSPC, "full")
        kept.append(seq)

    async with terminal(tmp_path) as t, process(tmp_path) as p:
        for _ in range(3):
            t.radio.status_from(OFFICER, 0x8003)
        await until(lambda: len(p.things()) == 3)
        running = asyncio.ensure_future(PortsClient(tmp_path / "ports.sock", take).run())
        try:
            await until(lambda: p.things() == [])
        finally:
            running.cancel()
            await asyncio.wait((running,))
    assert kept == [1, 2, 3]


async def test_a_connection_that_ends_at_once_is_not_made_again_at_once(tmp_path: Path) -> None:
    met = 0

    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal met
        met += 1
        writer.close()

    path = tmp_path / "ports.sock"
    async with await asyncio.start_unix_server(slam, path), owner(path):
        await until(lambda: met > 1)
        await asyncio.sleep(0.5)
    assert met < 10


async def test_a_backlog_above_what_a_socket_holds_reaches_its_owner_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardware.ports.server.MAX_BEHIND", 100_000)
    body = {"kind": "text", "text": "x" * 50_000, "at": "2026-01-01T00:00:00+00:00"}
    lines = [json.dumps({"e": "thing", "seq": n, "body": body}) for n in range(1, 81)]
    (tmp_path / "ports.journal").write_text("\n".join(lines) + "\n")
    async with terminal(tmp_path) as t, process(tmp_path) as p, owner(tmp_path / "ports.sock") as o:
        await until(lambda: bool(o.things))
        t.radio.status_from(OFFICER, 0x8003)
        await until(lambda: len(o.things) == 81)
        assert [seq for seq, _ in o.things] == list(range(1, 82))
        await until(lambda: p.things() == [])
        t.radio.status_from(OFFICER, 0x8003)
        await until(lambda: len(o.things) == 82)


async def test_the_server_ends_while_an_owner_does_not_read_its_backlog(tmp_path: Path) -> None:
    body = {"kind": "text", "text": "x" * 50_000, "at": "2026-01-01T00:00:00+00:00"}
    lines = [json.dumps({"e": "thing", "seq": n, "body": body}) for n in range(1, 81)]
    (tmp_path / "ports.journal").write_text("\n".join(lines) + "\n")
    async with asyncio.timeout(30):
        async with terminal(tmp_path), process(tmp_path) as p:
            path = tmp_path / "ports.sock"
            reader, writer = await asyncio.open_unix_connection(path, limit=1024)
            writer.write(encode({"type": "hello", "role": "owner"}))
            assert await reader.readexactly(4)
            assert p.test("radio", OFFICER) == ""
        writer.close()
    assert len(p.things()) == 80


async def test_the_same_job_again_is_taken_only_once_the_first_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    real = Journal._write

    def slow(self: Journal, data: bytes) -> None:
        gate.wait(20)
        real(self, data)

    async with terminal(tmp_path) as t, process(tmp_path) as p:
        monkeypatch.setattr(Journal, "_write", slow)
        first = asyncio.ensure_future(p.take(job("k")))
        again = asyncio.ensure_future(p.take(job("k")))
        try:
            await asyncio.wait((first, again), timeout=0.1)
            assert not first.done()
            assert not again.done()
        finally:
            gate.set()
        assert (await first, await again) == (None, None)
        await until(lambda: bool(t.radio.sent))
    assert len(t.radio.sent) == 1


async def test_a_person_is_told_that_the_port_process_is_away_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.channels.ports_client.AWAY_S", 0.2)
    told: list[str] = []
    passing: list[Mapping[str, Any]] = []

    async def take(body: Mapping[str, Any], seq: int) -> None:
        assert seq

    client = PortsClient(tmp_path / "ports.sock", take, passing.append, told.append)
    running = asyncio.ensure_future(client.run())
    try:
        await until(lambda: bool(told))
        assert "ports.sock" in told[0]
        async with terminal(tmp_path), process(tmp_path):
            await until(lambda: told[1:] == [""])
            await until(lambda: any(body["usable"] for body in passing))
            assert {body["gateway"] for body in passing} == {"radio-1"}
        await until(lambda: len(told) == 3)
    finally:
        running.cancel()
        await asyncio.wait((running,))


async def test_an_owner_that_comes_late_is_told_how_every_gateway_is(tmp_path: Path) -> None:
    async with terminal(tmp_path), process(tmp_path):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "ports.sock")
        writer.write(encode({"type": "hello", "role": "owner"}))
        decoder = Decoder()
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(20):
            while len(found) < 2:
                found += decoder.feed(await reader.read(65536))
        writer.close()
    assert [body["type"] for body in found[:2]] == ["hello", "health"]
    assert (found[1]["gateway"], found[1]["usable"]) == ("radio-1", True)


@given(st.lists(st.binary(max_size=60), max_size=30))
def test_any_octets_on_the_socket_are_messages_or_the_end(chunks: list[bytes]) -> None:
    decoder = Decoder()
    try:
        for chunk in chunks:
            for body in decoder.feed(chunk):
                assert isinstance(body["type"], str)
    except PortsProtocolError:
        return


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[r]\ndriver = 'fm'\nport = '/dev/r'", "driver"),
        ("[r]\ndriver = 'tetra-pei'", "port is needed"),
        ("[r]\ndriver = 'tetra-pei'\nport = '/dev/r'\nbaud = 9600", "未知键 'baud'"),
        ("[r]\ndriver = 'tetra-pei'\nport = '/dev/r'\nmodel = 'nokia'", "unknown model"),
        ("[r]\ndriver = 'line-keyed'\nport = '/dev/r'\nptt = 'RTS'", "interlock"),
        ("[r]\ndriver = 'line-keyed'\nport = 'rfc2217://h:1'\nptt = '!RTS'", "keys the radio"),
        ("[r]\ndriver = 'hytera'\nport = 'udp://10.0.0.1:3004'", "own"),
        ("r = 1", "must be a table"),
        ("[r", "gateways.toml"),
    ],
)
def test_a_file_of_gateways_that_is_wrong_is_refused_in_words(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "gateways.toml"
    path.write_text(text)
    with pytest.raises(GatewayError, match=words):
        read_gateways(path)


async def test_a_network_without_chinese_gets_the_agreed_number_for_a_waiting_order(
    tmp_path: Path,
) -> None:
    air = Air()
    pty = PtyEnd(lambda data: radio.feed(data), random.Random(7))
    pty.link(tmp_path / "radio-1")
    radio = Map27Unit(pty.write, air)
    (tmp_path / "plain.toml").write_text('words = "plain"\nchinese = "none"\n')
    (tmp_path / "gateways.toml").write_text(
        f'[radio-1]\ndriver = "map27"\nmodel = "{tmp_path}/plain.toml"\n'
        f'port = "{tmp_path}/radio-1"\norder_status = 7\n'
    )
    try:
        async with process(tmp_path), owner(tmp_path / "ports.sock") as o:
            await o.client.submit(job("k", address="31/2001"))
            await o.wait_stage("k", "delivered")
    finally:
        radio.close()
        pty.close()
    assert air.heard[0] == ("31/2001", b"\x07")


async def test_an_owner_that_stays_away_bounds_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hardware.ports.process.MAX_THINGS", 3)
    async with terminal(tmp_path) as t, process(tmp_path) as p:
        for _ in range(3):
            t.radio.status_from(OFFICER, 0x8003)
        await until(lambda: len(p.things()) == 3)
        t.radio.text_from(OFFICER, "到场")
        await until(lambda: p.turned_away == 1)
        refusal = await p.take(job("k"))
        assert refusal is not None
        assert refusal.why == "queue-full"
        assert t.radio.sent == [], "what was not kept is not acknowledged on the air"
