"""Ground `live`: a real Asterisk with its daemon, telephones that dial anything, and a witness at
each way out: the trunk, the AMI connection, the seats' telephones, the files."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bridge.lab.call import Call
from bridge.lab.incoming import IncomingCall
from bridge.lab.phone import Behaviour, Phone
from bridge.lab.ports import HOST
from bridge.lab.switch import Switch
from bridge.lab.world import World, make_world
from bridge.store import Reader
from bridge.tracks.naming import is_made, parse
from tests.attack.corpus import TOLL, Hostile
from tests.attack.doors import door, output
from tests.attack.outputs import NUMBER, is_plain, journal_is_whole, log_is_whole
from tests.attack.raw_sip import RawCall, percent, quoted, raw_phone
from tests.live.people import fetched, talk
from tests.live.room import Room, room_of

SEATS = ("8001", "8002", "8003")
TO_110 = "sip:110@{}:{}"
USER_EVENTS = {"", "CASE", "LEG", "KEY", "CALLBACK", "ALONE", "GOODBYE", "REFUSED"}
ACTIONS = {"Login", "Ping", "UserEvent", "Setvar", "Getvar", "Status", "CoreStatus", "Hangup",
           "CoreShowChannels", "QueueAdd", "QueueRemove", "QueuePause", "QueueStatus", "Redirect",
           "QueueSummary", "PJSIPShowContacts", "DeviceStateList"}  # fmt: skip
"""What a daemon asks for on behalf of nobody; no Originate is among it."""
HEADERS = {
    *("via", "from", "to", "contact", "call-id", "cseq", "allow", "supported", "user-agent"),
    *("session-expires", "min-se", "max-forwards", "content-type", "content-length"),
    *("p-asserted-identity", "x-case-id"),
}
"""Of an honest INVITE to a seat."""
MEMBER = re.compile(r"PJSIP/\d{4};\d+;\d+;\d{4};(PJSIP/\d{4}|);[^;|]*;\d*;?\d*")
"""One queue member as Asterisk keeps it: a seat, by its number."""


@dataclass
class LiveGround:
    """A room with three seats at work, and what was seen on every way out."""

    world: World
    room: Room
    dialled_out: list[bytes]
    actions: list[bytes]
    seats: list[Phone] = field(default_factory=list)
    answered: int = 0
    refused: int = 0

    @property
    def switch(self) -> Switch:
        return self.world.switch

    @property
    def sip(self) -> tuple[str, int]:
        return HOST, self.world.ports.sip

    async def wave(self, calls: Sequence[RawCall]) -> None:
        """All these calls at once."""
        phone = await raw_phone(self.sip)
        await phone.place(calls)
        self.answered += sum(call.status == 200 for call in calls)
        self.refused += sum(call.status != 200 for call in calls)

    def to_110(self) -> bytes:
        return TO_110.format(*self.sip).encode()


class _Trunk(asyncio.DatagramProtocol):
    """Where calls to the public network would arrive."""

    def __init__(self, came: list[bytes]) -> None:
        self._came = came

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.startswith(b"INVITE"):
            self._came.append(data)


@asynccontextmanager
async def _ami_witness(port: int, sent: list[bytes]) -> AsyncIterator[int]:
    """Between daemon and Asterisk: every byte goes on, what the daemon says is kept."""

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: list[bytes] | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if keep is not None:
                    keep.append(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, port)
        await asyncio.gather(pump(reader, back, sent), pump(there, writer, None))

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def live_ground(switch: Switch) -> AsyncIterator[LiveGround]:
    """`switch` runs; the daemon is ours."""
    world = make_world(switch, wrap_up_s=0)
    out: list[bytes] = []
    sent: list[bytes] = []
    trunk, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Trunk(out), local_addr=(HOST, world.ports.trunk)
    )
    async with _ami_witness(world.ports.ami, sent) as witness:
        text = world.daemon.config.read_text(encoding="utf-8")
        changed = text.replace(f"port = {world.ports.ami}\n", f"port = {witness}\n", 1)
        assert changed != text
        world.daemon.config.write_text(changed, encoding="utf-8")
        await world.daemon.start()
        try:
            async with room_of(world) as room:
                ground = LiveGround(world, room, out, sent)
                for seat in SEATS:
                    phone, _desk = await room.sit(seat, behaviour=Behaviour(delay=0.02))
                    ground.seats.append(phone)
                yield ground
        finally:
            await world.daemon.stop()
            trunk.close()


# --- doors


@door("live", "SIP: caller's name")
async def caller_name(ground: LiveGround, strings: Sequence[Hostile]) -> None:
    await ground.wave(
        [
            RawCall(one.name, ground.to_110(), quoted(one.raw) + b" <sip:13800138000@127.0.0.1>")
            for one in strings
        ]
    )


@door("live", "SIP: caller's number")
async def caller_number(ground: LiveGround, strings: Sequence[Hostile]) -> None:
    """Once as bytes, once as `%xx`, which any parser lets through."""
    for written in (percent, bytes):
        await ground.wave(
            [
                RawCall(one.name, ground.to_110(), b"<sip:%s@127.0.0.1>" % written(one.raw))
                for one in strings
            ]
        )


@door("live", "SIP: header fields")
async def sip_headers(ground: LiveGround, strings: Sequence[Hostile]) -> None:
    fields = (
        b"X-Case-Id: %s\r\nSubject: %s\r\nP-Asserted-Identity: %s <sip:1@h>\r\nReason: %s\r\n"
        b"Diversion: %s <sip:%s@h>;reason=unconditional"
    )
    await ground.wave(
        [
            RawCall(
                one.name,
                ground.to_110(),
                b"<sip:13800138000@127.0.0.1>",
                fields
                % (one.raw, one.raw, name := quoted(one.raw), one.raw, name, percent(one.raw)),
            )
            for one in strings
        ]
    )


@door("live", "SIP: number dialled from outside")
async def dialled(ground: LiveGround, strings: Sequence[Hostile]) -> None:
    """Nothing but 110 is answered."""
    host = "{}:{}".format(*ground.sip).encode()
    for written in (percent, bytes):
        calls = [
            RawCall(one.name, b"sip:%s@%s" % (written(one.raw), host), b"<sip:139@127.0.0.1>")
            for one in strings
        ]
        await ground.wave(calls)
        assert [call.name for call in calls if call.status == 200] == []


@door("live", "SIP: number dialled by a seat, case named by the hotline")
async def accounts(ground: LiveGround, strings: Sequence[Hostile]) -> None:
    """From telephones that have an account. What breaks lines cannot be written by these."""
    seat, hotline = ground.seats[0], await ground.room.people.hotline()
    for one in TOLL:
        call = await seat.dial(percent(one.raw).decode())
        await call.wait_ended(5)
        assert call.end is not None
        assert call.end.status >= 400, one
    usable = [one for one in strings if not one.breaks_lines]
    for begin in range(0, len(usable), 40):
        calls = [
            await hotline.dial(
                "110", headers={"X-Case-Id": one.text.encode("utf-8", "replace").decode()}
            )
            for one in usable[begin : begin + 40]
        ]
        await asyncio.gather(*(_answered(call) for call in calls))
        await asyncio.gather(*(call.hangup() for call in calls))


async def _answered(call: Call) -> None:
    with contextlib.suppress(TimeoutError, RuntimeError):
        await call.wait_answered(8)


@door("live", "REST: whom to call, who sits there")
async def rest(ground: LiveGround, _: Sequence[Hostile]) -> None:
    """Only what costs money: the rest of REST has a ground of its own."""
    phone, citizen = await ground.room.people.citizen()
    seat = await _seat_of(ground, phone.user)
    desk = ground.world.desk(seat)
    call = (await desk.wait_call(phone.user, "established", 10))["id"]
    for one in TOLL:
        reply = await desk.request("POST", f"calls/{call}/three-way", {"to": one.text})
        assert reply.status in (400, 404, 409), (one, reply)
        await asyncio.sleep(0.02)  # the rate of one token
    other = ground.world.desk("8020")
    for one in TOLL:
        reply = await other.request(
            "PUT", "seats/8020/agent", {"agent": one.text, "role": one.text}
        )
        if reply.ok:
            reason = {"state": "notReady", "reason": one.text}
            await other.request("PATCH", "seats/8020/agent", reason)
            database = await ground.switch.console("database show Queue")
            _members_are_seats(database)
            await other.request("DELETE", "seats/8020/agent")
    await citizen.hangup()


async def _seat_of(ground: LiveGround, number: str) -> str:
    """The seat that talks with this caller."""
    call = await ground.world.leader.wait_call(number, "established", 20)
    return str(call["seat"])


@door("live", "FastAGI")
async def fastagi(ground: LiveGround, strings: Sequence[Hostile]) -> None:
    """A stranger on the port that the plans ask: refused, whatever it says."""

    async def one_says(data: bytes) -> None:
        reader, writer = await asyncio.open_connection(HOST, ground.world.ports.fastagi)
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(20):
                answer = await reader.read()
                assert answer == b"", data[:80]
        writer.close()

    for one in strings:
        script = b"agi_network_script: accept?nonce="
        await asyncio.gather(
            one_says(script + one.raw + b"\nagi_request: agi://h/accept\n\n"),
            one_says(
                script + b"0\nagi_callerid: " + one.raw + b"\nagi_arg_1: " + one.raw + b"\n\n"
            ),
            one_says(one.raw + b"\n\n"),
        )


# --- outputs


@output("live", "the trunk")
async def trunk(ground: LiveGround, _: Sequence[Hostile]) -> None:
    assert ground.dialled_out == []


@output("live", "channels")
async def channels(ground: LiveGround, _: Sequence[Hostile]) -> None:
    """Every call has ended; nobody else was called meanwhile."""
    deadline = time.monotonic() + 40
    while not re.search(r"^0 active calls?$", said := await _calls(ground), re.MULTILINE):
        assert time.monotonic() < deadline, said
        await asyncio.sleep(0.2)


async def _calls(ground: LiveGround) -> str:
    return await ground.switch.console("core show channels count")


@output("live", "AMI actions")
async def ami_actions(ground: LiveGround, _: Sequence[Hostile]) -> None:
    blocks = b"".join(ground.actions).split(b"\r\n\r\n")
    seen = set()
    for block in blocks[:-1]:
        pairs = [line.partition(b": ")[::2] for line in block.split(b"\r\n")]
        action = pairs[0][1].decode()
        seen.add(action)
        assert action in ACTIONS, block
        for name, value in pairs:
            assert re.fullmatch(rb"[A-Za-z0-9]+", name), block
            assert value.isascii(), block
            if name == b"Channel":
                assert re.fullmatch(rb"(PJSIP/)?[A-Za-z0-9.-]+", value), block
    assert {"Login", "Ping", "Setvar", "QueueAdd"} <= seen


@output("live", "the seats' telephones")
async def seat_phones(ground: LiveGround, _: Sequence[Hostile]) -> None:
    """Header fields are those of an honest call; the caller's address is one address."""
    calls = [c for phone in ground.seats for c in phone.calls if isinstance(c, IncomingCall)]
    assert len(calls) > 5
    for call in calls:
        for name, value in call.headers:
            assert name.lower() in HEADERS, (name, value)
            assert is_plain(value), (name, value)
            assert "\n" not in value, (name, value)
            if name.lower() == "from":
                assert re.fullmatch(r"[^@;]*(@[^@;]*)?;tag=[A-Za-z0-9.-]+", value), value


@output("live", "queue members")
async def members(ground: LiveGround, _: Sequence[Hostile]) -> None:
    _members_are_seats(await ground.switch.console("database show Queue"))


def _members_are_seats(said: str) -> None:
    for line in said.splitlines():
        name, colon, value = line.partition(" : ")
        if colon and name.strip().startswith("/Queue/"):
            for member in value.strip().split("|"):
                assert re.fullmatch(
                    r"PJSIP/\d{4};\d+;\d+;\d{4};(PJSIP/\d{4}|);[^;|]*;\d*;?\d*", member
                ), said


@output("live", "journal and case files")
async def journal(ground: LiveGround, _: Sequence[Hostile]) -> None:
    path = ground.switch.run.path / "bridge110.db"
    reader, facts, after = Reader(path), [], 0
    while page := await reader.entries_after(after):
        facts += [entry.fact for entry in page]
        after = page[-1].seq
    offered = [fact for fact in facts if fact.kind == "call.offered"]
    assert len(offered) > 100
    assert all(NUMBER.match(str(fact.data["number"])) for fact in offered)
    journal_is_whole(facts)
    for words in (["db", "verify"], ["case", "list", "--full-numbers", "--limit", "1000"],
                  ["case", "show", str(offered[-1].case)]):  # fmt: skip
        status, said = await _command(ground, *words)
        assert status == 0, said
        assert is_plain(said), words


async def _command(ground: LiveGround, *words: str) -> tuple[int, str]:
    program = [sys.executable, "-m", "bridge", *words, "--config", str(ground.world.daemon.config)]
    done = await asyncio.to_thread(
        subprocess.run, program, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@output("live", "what desks are told")
async def told(ground: LiveGround, _: Sequence[Hostile]) -> None:
    snapshot = await ground.world.leader.snapshot()
    assert snapshot["calls"] == []
    assert ground.world.daemon.running


@output("live", "recordings")
async def recordings(ground: LiveGround, _: Sequence[Hostile]) -> None:
    names = [file.name for file in ground.switch.run.recordings.rglob("*") if file.is_file()]
    assert len(names) > 100
    for name in names:
        if not is_made(name) and not name.endswith(".repaired.wav"):
            parse(name)


@output("live", "CEL")
async def cel(ground: LiveGround, _: Sequence[Hostile]) -> None:
    text = ground.switch.run.cel_file.read_bytes().decode("utf-8")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == text.count("\n") > 500
    for row in rows:
        assert len(row) == 9, row
        assert row[0] not in ("CASE", "LEG", "KEY") or row[5] == row[0], row
        assert is_plain("".join(row)), row
        assert row[0] != row[5] or row[5] in USER_EVENTS, row


@output("live", "log")
async def log(ground: LiveGround, _: Sequence[Hostile]) -> None:
    text = ground.world.daemon.log.read_text(encoding="utf-8")
    log_is_whole(text)
    assert is_plain(text)


@output("live", "an honest call")
async def honest_call(ground: LiveGround, _: Sequence[Hostile]) -> None:
    """And every call of the attack is in the journal as the switch had it."""
    for phone in ground.seats:
        phone.forget_calls()
    phone, citizen = await ground.room.people.citizen()
    seat = await _seat_of(ground, phone.user)
    at_seat = await fetched(next(p for p in ground.seats if p.user == seat))
    await talk(citizen, at_seat)
    await citizen.hangup()
    deadline = time.monotonic() + 40
    while True:
        status, said = await _command(ground, "reconcile", "--json")
        if status == 0 and '"waiting": 0' in said:
            return
        assert time.monotonic() < deadline, said
        await asyncio.sleep(1)
