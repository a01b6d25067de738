"""The desk of one daemon, put together: rights, services, REST, events, and the port."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path

import structlog
from fastapi import APIRouter

from bridge.desk.app import create_app
from bridge.desk.commands import Commands
from bridge.desk.once import Once
from bridge.desk.order_parts import OrderParts
from bridge.desk.parts import Parts
from bridge.desk.peer_cases import PeerDesk, peer_cases
from bridge.desk.server import Server, inherited, listen
from bridge.desk.tokens import Rates, Tokens
from bridge.domain.acts import Target
from bridge.domain.call import Role
from bridge.domain.journal import Json
from bridge.flows.calls import Spawn
from bridge.flows.case_desk import CaseDesk
from bridge.flows.peers import Peers
from bridge.flows.ports import Answer, Clock, Files
from bridge.flows.room import Room
from bridge.flows.view import View
from bridge.settings.model import Settings, expand
from bridge.tokens import TokenRecord, TokensError, read_tokens

_log = structlog.get_logger(__name__)

_SEAT = re.compile(r"seat:([0-9]{3,16})\Z")
SEAT_RINGS_S = 20
TOKENS_SECONDS = 2.0
"""How often the tokens file is looked at: a token that was taken away works no longer than that."""


class Desk:
    """One daemon's desk. `listening`: an open socket; otherwise systemd's, or one of its own."""

    def __init__(
        self,
        settings: Settings,
        room: Room,
        view: View,
        answers: Callable[[str], Awaitable[Answer | None]],
        store_health: Callable[[], Mapping[str, Json]],
        clock: Clock,
        spawn: Spawn,
        *,
        seats: Collection[str],
        cases: CaseDesk,
        files: Files,
        orders: OrderParts | None = None,
        peers: Peers | None = None,
        doors: Sequence[APIRouter] = (),
        listening: socket.socket | None = None,
    ) -> None:
        """`seats` may change while running; `doors`: routes of other parts, with their own
        guard."""
        self._room = room
        self._view = view
        self._store_health = store_health
        self._clock = clock
        self._zone = settings.site.tz
        self._peers = peers
        self._cases = cases
        self._seats = seats
        self._groups = {name: expand(ids) for name, ids in settings.seats.groups.items()}
        self._tokens_file = settings.http.tokens_file
        self._tokens_seen = _stamp(self._tokens_file)
        self._tokens = Tokens(read_tokens(self._tokens_file), clock.now)
        commands = Commands(
            room,
            view,
            seats=self._seats,
            target_for=self.target_for,
            new_id=lambda: f"b110-{secrets.token_hex(8)}",
            clock=clock,
            answers=answers,
            spawn=spawn,
            audit=room.note,
        )
        parts = Parts(
            view=view,
            commands=commands,
            tokens=self._tokens,
            rates=Rates(clock.monotonic),
            seats=seats,
            targets=room.targets,
            health=self.health,
            cases=cases,
            files=files,
            orders=orders,
        )
        http = settings.http
        more = list(doors)
        if peers is not None:
            once = Once(answers=answers, monotonic=clock.monotonic, spawn=spawn)
            more.append(peer_cases(PeerDesk(peers, once, cases)))
        self._server = Server(
            create_app(parts, hosts=http.hosts, origins=http.origins, more=more),
            listening or inherited() or listen(http.host, http.port),
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, with the tokens that the file has now."""
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._watch_tokens(), name="desk tokens")
            await self._server.run(stop)
            watch.cancel()

    async def _watch_tokens(self) -> None:
        while True:
            await asyncio.sleep(TOKENS_SECONDS)
            records = await asyncio.to_thread(self._changed_tokens)
            if records is not None:
                self._tokens.replace(records)
                _log.info("desk.tokens_read", count=len(records))

    def _changed_tokens(self) -> list[TokenRecord] | None:
        """The records of a file that has changed, or None. A file with a fault changes nothing."""
        stamp = _stamp(self._tokens_file)
        if stamp == self._tokens_seen:
            return None
        self._tokens_seen = stamp
        try:
            return list(read_tokens(self._tokens_file))
        except TokensError as error:
            _log.error("desk.tokens_unreadable", reason=str(error))
            return None

    def target_for(self, to: str, case: str) -> Target | None:
        """Whom `12345`, `seat:8002` or `group:nonpolice` names, or None: of a group its first
        ready seat (SB-37), of desks the one of the case's area (LY-12)."""
        group = to.removeprefix("group:")
        if group != to:
            free = [s for s in self._groups.get(group, ()) if self._is_ready(s)]
            return seat_target(free[0]) if free else None
        seat = _SEAT.match(to)
        if seat is None:
            desk = self._cases.territory.desk(self._today(to), self._cases.area_of(case))
            return self._room.targets.get(desk)
        return seat_target(seat[1]) if seat[1] in self._seats else None

    def _today(self, number: str) -> str:
        """Whose number this is today: old hotlines have become another desk's (LY-13)."""
        if self._peers is None or number in self._room.targets:
            return number
        return self._peers.resolve(number, self._clock.now().astimezone(self._zone).date())

    def _is_ready(self, seat: str) -> bool:
        record = self._room.book.seats.get(seat)
        return record is not None and record.state == "ready"

    def health(self) -> dict[str, Json]:
        """Links, store and load, for `bridge110 status` and monitors."""
        store = dict(self._store_health())
        links: dict[str, Json] = {**self._view.links}
        well = not store["away"] and all(
            link["state"] == "up" for link in self._view.links.values()
        )
        return {
            "status": "up" if well else "degraded",
            "epoch": self._view.epoch,
            "seq": self._view.seq,
            "links": links,
            "store": store,
            "calls": sum(1 for call in self._room.book.calls.values() if call.live),
        }


def seat_target(seat: str) -> Target:
    """Another seat as somebody to be called into a case: an answer there is a person."""
    return Target(
        id=f"seat:{seat}",
        title=seat,
        dial=f"PJSIP/{seat}",
        role=Role.SEAT,
        name=f"seat-{seat}",
        accept="answer",
        ring_timeout=SEAT_RINGS_S,
    )


def _stamp(path: Path) -> tuple[int, int] | None:
    """What tells that a file has changed: its time and its size; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
