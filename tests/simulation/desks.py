"""Two desks that share cases over a line that fails, each on its own simulated store."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import random
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

from bridge.domain.errors import Refused
from bridge.domain.journal import Entry, parse_iso
from bridge.domain.shared_case import SharedCase, from_doc
from bridge.flows.outbox import Courier, NotDelivered
from bridge.flows.peer_core import channel_of
from bridge.flows.peer_words import Peer
from bridge.flows.peers import Peers
from bridge.flows.ports import Claimed, StoreError
from bridge.flows.recorder import Recorder
from bridge.wire.case_document import decode, encode
from bridge.wire.webhook import headers, verify
from tests.simulation.chance import Chance
from tests.simulation.loop import START, SimLoop, in_life
from tests.simulation.store import Disk, SimStore

KEY = b"k" * 32


class DeskClock:
    """The loop's time as a desk's wall clock tells it, `skew` seconds off."""

    def __init__(self, loop: SimLoop, skew: float) -> None:
        self._loop = loop
        self._skew = skew

    def now(self) -> datetime:
        return datetime.fromtimestamp(START + self._loop.time() + self._skew, UTC)

    def monotonic(self) -> float:
        return self._loop.time()


class Line:
    """The network between the desks. `down`: nobody answers; `lossy`: part of the posts, and part
    of the answers, get lost."""

    def __init__(self, chance: random.Random) -> None:
        self.desks: dict[str, SimDesk] = {}
        self.down = False
        self.lossy = 0.0
        self.posts = 0
        self._chance = chance

    async def post(self, sender: str, to: str, message: Claimed) -> None:
        """One post with its answer, or NotDelivered."""
        self.posts += 1
        await asyncio.sleep(self._chance.uniform(0.001, 0.2))
        gone = self.down or not {sender, to} <= self.desks.keys()
        if gone or self._chance.random() < self.lossy:
            await asyncio.sleep(2.0)
            raise NotDelivered("no answer")
        body: Any = message.body
        data = encode(from_doc(body["doc"]))
        there = self.desks[to]
        sent = headers(KEY, message.key, self.desks[sender].clock.now(), data)
        found = {name.lower(): value for name, value in sent.items()}
        signed = verify(found, data, [KEY], there.clock.now())
        taken = in_life(there.life).run(
            asyncio.ensure_future,
            there.peers.receive(
                sender,
                signed.id,
                decode(data, peer=sender),
                hashlib.sha256(data).hexdigest(),
                datetime.fromtimestamp(signed.at, UTC),
            ),
        )
        try:
            async with asyncio.timeout(5.0):
                await asyncio.shield(taken)
        except (StoreError, Refused) as error:
            raise NotDelivered(str(error)) from error
        except TimeoutError as error:
            raise NotDelivered("late") from error
        if self._chance.random() < self.lossy:
            raise NotDelivered("the answer was lost")


class SimDesk:
    """One desk's link to the other, in one life; `again` is the next life on the same disk."""

    def __init__(
        self,
        loop: SimLoop,
        chance: Chance,
        line: Line,
        disk: Disk,
        name: str,
        life: int,
        skew: float,
    ) -> None:
        self.loop, self.chance, self.line, self.disk = loop, chance, line, disk
        self.name, self.life, self.skew = name, life, skew
        self.other = "b" if name == "a" else "a"
        self.clock = DeskClock(loop, skew)
        self.links: list[str] = []
        self.store = SimStore(disk, chance, loop, life, self.clock.now, self._publish)
        self.recorder = Recorder(self.store, lambda words: None)
        self.peers = Peers(
            site=name,
            centre=name,
            peers={self.other: Peer(self.other, self.other, "https://x")},
            recorder=self.recorder,
            clock=self.clock,
            spawn=self.spawn,
            poke=lambda peer: self.courier.look(),
            tell_link=lambda peer, words: self.links.append(words),
        )
        self.courier = Courier(
            self.store, channel_of(self.other), self._send, self.clock, self._tell
        )
        self.context: contextvars.Context = in_life(life)

    def _publish(self, entries: Sequence[Entry]) -> None:
        self.peers.see(entries)

    def spawn(self, work: Coroutine[Any, Any, object], name: str) -> None:
        self.loop.create_task(work, name=name, context=in_life(self.life))

    async def _tell(self, words: str) -> None:
        await self.peers.link(self.other, words)

    async def _send(self, message: Claimed) -> None:
        await self.line.post(self.name, self.other, message)
        body: Any = message.body
        since = parse_iso(body["since"])
        await self.peers.delivered(self.other, body["case"], body["digest"], since)

    async def start(self) -> None:
        """Open the store, read what was left, begin to work."""
        await self.store.open()
        self.peers.restore(await self.store.reader.rows("peer_case"))
        self.spawn(self.recorder.run(), "recorder")
        self.spawn(self.courier.run(), "courier")
        self.line.desks[self.name] = self

    def again(self, life: int) -> SimDesk:
        """SIGKILL and the next start."""
        self.store.dead = True
        self.line.desks.pop(self.name, None)
        self.loop.kill(self.life)
        return SimDesk(self.loop, self.chance, self.line, self.disk, self.name, life, self.skew)

    def waiting(self) -> int:
        """Messages that have not been delivered."""
        return sum(not out.done for out in self.disk.now.outbox.values())

    def case(self, ident: str) -> SharedCase:
        return self.peers.book.cases[ident].case
