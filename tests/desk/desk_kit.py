"""A desk with everything real behind it but Asterisk: store on disk, flows, uvicorn, port."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from fastapi import APIRouter
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from bridge.app.orders import Post
from bridge.app.seats import SeatList
from bridge.channels.terminal import TerminalChannel
from bridge.desk.cti import SUBPROTOCOL
from bridge.desk.desk import Desk
from bridge.desk.fax_rest import faxes
from bridge.desk.order_parts import OrderParts
from bridge.desk.papers import MakePaper
from bridge.desk.printed import printed
from bridge.desk.server import listen
from bridge.domain.acts import Target
from bridge.domain.call import Role
from bridge.domain.case_file import CommandRule
from bridge.domain.delivery import ChannelKind
from bridge.domain.journal import Entry, Fact, Json
from bridge.domain.shared_case import SharedCase
from bridge.flows.calls import Spawn
from bridge.flows.case_desk import CaseDesk
from bridge.flows.cases import CaseNumbers
from bridge.flows.fax_desk import FaxDesk
from bridge.flows.order_desk import OrderDesk
from bridge.flows.order_inbox import Inbox
from bridge.flows.orders import Orders, Site
from bridge.flows.paper_desk import PaperDesk
from bridge.flows.ports import Answer
from bridge.flows.recorder import Recorder
from bridge.flows.room import Room
from bridge.flows.terminals import Terminals
from bridge.flows.unit_checks import UnitChecks
from bridge.flows.view import View
from bridge.settings.model import Settings
from bridge.store import Options, SqliteStore, open_store
from bridge.store.files import Files
from bridge.tokens import TokenRecord, add_token, digest, new_token
from tests.channels.mail_kit import Told
from tests.desk.simulated_switch import SimulatedSwitch
from tests.domain.order_story import BANK, HOUSING, WATER
from tests.orders.order_kit import Wire

SEATS = ("8001", "8002", "8003")
ORIGIN = "http://desk.example"
TARGETS = {
    "123451": Target("123451", "兰山区 12345", "PJSIP/123451@hotline", Role.HOTLINE, "hotline-l"),
    "12345": Target("12345", "12345 热线", "PJSIP/12345@hotline", Role.HOTLINE, "hotline"),
    "6001": Target("6001", "供水", "PJSIP/6001@units", Role.UNIT, "unit-6001"),
}


RULES = (CommandRule("ENV", frozenset({1, 2}), "突发环境事件应急预案", "housing"),)


class Clock:
    """The machine's clocks, as the daemon has them."""

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)

    @staticmethod
    def monotonic() -> float:
        return time.monotonic()


@dataclass
class Kit:
    """One running desk."""

    switch: SimulatedSwitch
    room: Room
    view: View
    store: SqliteStore
    desk: Desk
    tokens: dict[str, str]
    orders: OrderParts
    wires: dict[ChannelKind, Wire]
    paused: list[Mapping[str, str]]
    """What the modems were told to rest, each time."""
    shared: dict[str, SharedCase] = field(default_factory=dict)
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.desk.port}"

    def client(self, who: str | None = "T-8001") -> Client:
        """A REST client with that token, or none."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        made = httpx.AsyncClient(base_url=f"{self.url}/api/v1/", headers=headers, timeout=10.0)
        self.clients.append(made)
        return Client(made)

    @asynccontextmanager
    async def cti(self, who: str = "T-8001", **hello: Any) -> AsyncIterator[Events]:
        """A CTI connection that has said hello and was welcomed."""
        async with self.socket(who) as socket:
            await socket.send(json.dumps({"op": "hello", **hello}))
            events = Events(socket)
            events.welcome = await events.next()
            yield events

    @asynccontextmanager
    async def socket(
        self, who: str | None = "T-8001", *, origin: str | None = None, protocol: str = SUBPROTOCOL
    ) -> AsyncIterator[ClientConnection]:
        """A bare WebSocket."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who else {}
        async with connect(
            f"ws://127.0.0.1:{self.desk.port}/cti",
            additional_headers=headers,
            origin=Origin(origin) if origin else None,
            subprotocols=[Subprotocol(protocol)],
            proxy=None,
        ) as socket:
            yield socket

    async def talking(self, seat: str = "8001", number: str = "13800138000") -> tuple[str, str]:
        """A citizen talks with a seat; gives the call and the seat's leg."""
        call = self.switch.citizen_calls(number)
        leg = self.switch.seat_rings(call, seat)
        self.switch.answers(call, leg)
        await until(lambda: self.state(call) == "established")
        return call, leg

    async def journalled(self, kind: str) -> Fact:
        """The first fact of that kind, once it is durable."""
        async with asyncio.timeout(5.0):
            while True:
                for entry in await self.store.reader.entries_after(0):
                    if entry.fact.kind == kind:
                        return entry.fact
                await asyncio.sleep(0.01)

    def state(self, call: str) -> str | None:
        """The state of a call as people are shown it."""
        record = self.view.book.calls.get(call)
        return record.state.value if record else None


@dataclass
class Client:
    """REST, with a fresh key for each command unless one is given."""

    http: httpx.AsyncClient

    async def do(
        self, method: str, path: str, body: Any = None, *, key: str | None = "", **query: Any
    ) -> httpx.Response:
        """One command. `key` None: no header at all."""
        headers = {} if key is None else {"Idempotency-Key": key or secrets.token_hex(12)}
        return await self.http.request(method, path, json=body, headers=headers, params=query)

    async def get(self, path: str) -> Any:
        """One read that must succeed."""
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass
class Events:
    """What came over a CTI connection."""

    socket: ClientConnection
    welcome: dict[str, Any] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def next(self, seconds: float = 8.0) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(seconds):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        self.seen.append(message)
        return message

    async def until(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first message for which `what` holds."""
        while True:
            message = await self.next()
            if what(message):
                return message

    async def of_type(self, type: str) -> dict[str, Any]:
        """The next event of that type."""
        return await self.until(lambda message: message.get("type") == type)

    async def do(self, service: str, *, key: str = "", **args: Any) -> dict[str, Any]:
        """Ask for a service; gives accepted or refused."""
        ident = key or secrets.token_hex(12)
        message = {"op": "do", "id": ident, "service": service, "args": args}
        await self.socket.send(json.dumps(message))
        return await self.until(lambda got: got.get("id") == ident)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for a condition; fails when it does not come true in time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


def settings(directory: Path) -> Settings:
    """Settings of a small site."""
    return Settings.model_validate(
        {
            "site": {"name": "test", "zone": "Asia/Shanghai", "numbers": ["110"]},
            "ami": {
                "host": "127.0.0.1",
                "port": 5038,
                "username": "b",
                "secret_file": "s",
                "tls": False,
            },
            "fastagi": {"host": "127.0.0.1", "port": 4573},
            "http": {
                "host": "127.0.0.1",
                "port": 8110,
                "origins": [ORIGIN],
                "hosts": ["127.0.0.1", "localhost"],
                "tokens_file": str(directory / "tokens.jsonl"),
            },
            "store": {"path": str(directory / "site.db"), "ballast_mb": 0},
            "asterisk": dict.fromkeys(("etc", "recordings", "cel_file", "sounds"), "/nowhere"),
            "seats": {"ids": ["8001-8003"], "wrap_up_s": 0},
            "desks": {
                "123451": {
                    "title": "兰山区 12345",
                    "dial": "PJSIP/123451@hotline",
                    "accept": "press",
                    "ring_timeout_s": 20,
                    "areas": ["兰山区"],
                },
                "12345": {
                    "title": "12345",
                    "dial": "PJSIP/12345@hotline",
                    "accept": "press",
                    "ring_timeout_s": 20,
                },
            },
        }
    )


def make_tokens(path: Path) -> dict[str, str]:
    """A token for each kind of person, by name."""
    people = {"T-8001": "8001", "T-8002": "8002", "L-8003": "8003", "P-8001": "8001"}
    made = {}
    for name in (*people, "E", "U", "A", "P"):
        made[name] = new_token()
        role: Any = name[0]
        record = TokenRecord(name=name, role=role, seat=people.get(name), sha256=digest(made[name]))
        add_token(path, record)
    return made


def make_orders(
    recorder: Recorder, store: SqliteStore, view: View, spawn: Spawn, cases: CaseDesk
) -> tuple[OrderParts, dict[ChannelKind, Wire]]:
    """Orders with a unit whose people sign in as U, a real terminal wire, and a telephone of the
    test's own."""
    water = replace(WATER, users=("U",))
    orders = Orders(
        recorder=recorder,
        clock=Clock(),
        memory=store.reader,
        units={unit.id: unit for unit in (water, HOUSING, BANK)},
        site=Site("指挥中心", "7110", ZoneInfo("Asia/Shanghai")),
        spawn=spawn,
        alarm=view.alarm,
    )
    inbox = Inbox(orders)
    terminals = Terminals()
    terminal = TerminalChannel(
        terminals,
        Post(orders, inbox),
        attempt_of=orders.attempt,
        user_unit={"U": "water"}.get,
        alarm=view.alarm,
        now=Clock.now,
        spawn=spawn,
    )
    phone = Wire(ChannelKind.PHONE)
    orders.use(terminal)
    orders.use(phone)

    numbers = itertools.count(1)
    desk = OrderDesk(orders, cases.known, lambda: next(numbers), copy_to="housing")
    cases.direct(desk, RULES)
    parts = OrderParts(
        orders=orders,
        inbox=inbox,
        desk=desk,
        checks=UnitChecks(orders, timedelta(hours=12)),
        terminals=terminals,
        marks=terminal,
        reads=store.reader,
        ack_keys=(b"s" * 32,),
    )
    return parts, {ChannelKind.PHONE: phone}


def make_fax(recorder: Recorder, view: View, paused: list[Mapping[str, str]]) -> FaxDesk:
    """A fax desk whose modems note what they are told."""

    async def tell(what: Mapping[str, str]) -> None:
        paused.append(what)

    return FaxDesk(recorder, Clock(), Told(), view.alarm, None, tell)


@asynccontextmanager
async def running(
    directory: Path, *more: APIRouter, paper: MakePaper | None = None
) -> AsyncIterator[Kit]:
    """A desk that serves on a free port of the loopback interface, with `more` routes; `paper`
    makes papers, which are printed then."""
    site = settings(directory)
    tokens = {}
    if not site.http.tokens_file.exists():
        tokens = make_tokens(site.http.tokens_file)
        (directory / "tokens.json").write_text(json.dumps(tokens))
    else:
        tokens = json.loads((directory / "tokens.json").read_text())
    view = View(epoch=secrets.token_hex(4), now=Clock.now)
    readers: list[Callable[[Sequence[Entry]], None]] = [view.publish]

    def publish(entries: Sequence[Entry]) -> None:
        for read in readers:
            read(entries)

    async with (
        open_store(
            site.store.path,
            site=site.site.name,
            now=Clock.now,
            monotonic=Clock.monotonic,
            publish=publish,
            options=Options(ballast_bytes=4096),
        ) as store,
        asyncio.TaskGroup() as tasks,
    ):
        stop = asyncio.Event()

        spawned: set[asyncio.Task[object]] = set()

        def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
            task = tasks.create_task(work, name=name)
            spawned.add(task)
            task.add_done_callback(spawned.discard)

        recorder = Recorder(store, lambda _: None)
        switch = SimulatedSwitch()
        room = Room(
            recorder=recorder,
            switch=switch,
            clock=Clock(),
            numbers=CaseNumbers(site.site.tz),
            targets=TARGETS,
            new_id=lambda: f"b110-{secrets.token_hex(8)}",
            spawn=spawn,
            wrap_up=timedelta(seconds=0),
            on_over=lambda _: None,
        )
        switch.calls = room

        async def answers(key: str) -> Answer | None:
            return await store.reader.answer(key, Clock.now())

        def health() -> Mapping[str, Json]:
            found = store.health()
            warnings: list[Json] = [*found.warnings]
            return {"away": found.away, "waiting": found.waiting, "warnings": warnings}

        cases = CaseDesk(
            recorder=recorder,
            clock=Clock(),
            memory=store.reader,
            alarm=view.alarm,
            spawn=spawn,
            territory=site.territory,
        )
        readers.append(cases.see)
        orders, wires = make_orders(recorder, store, view, spawn, cases)
        await cases.restore()
        files = Files(directory / "files")
        shared: dict[str, SharedCase] = {}
        printing: list[APIRouter] = []
        if paper is not None:
            desk_of_papers = PaperDesk(
                orders=orders.orders,
                cases=cases,
                memory=store.reader,
                files=files,
                recorder=recorder,
                make=paper,
                title_of=lambda desk: TARGETS[desk].title,
                shared=shared.get,
            )
            printing.append(printed(desk_of_papers))
        paused: list[Mapping[str, str]] = []
        fax = make_fax(recorder, view, paused)
        desk = Desk(
            site,
            room,
            view,
            answers,
            health,
            Clock(),
            spawn,
            seats=SeatList(site.seats.all),
            cases=cases,
            files=files,
            orders=orders,
            listening=listen("127.0.0.1", 0),
            doors=[faxes(fax, view), *more, *printing],
        )
        writing = tasks.create_task(recorder.run())
        serving = tasks.create_task(desk.run(stop))
        kit = Kit(switch, room, view, store, desk, tokens, orders, wires, paused, shared)
        try:
            yield kit
        finally:
            for client in kit.clients:
                await client.aclose()
            stop.set()
            await asyncio.wait([serving])
            await recorder.drain(5.0)
            for task in [writing, *spawned]:
                task.cancel()
