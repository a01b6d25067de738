"""The links to other platforms of one daemon, put together: flow, worker, client, door."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace

import structlog
from fastapi import APIRouter

from bridge.channels.mail import signing_key
from bridge.channels.platform import (
    PlatformAccess,
    PlatformClient,
    files_door,
    platform_door,
)
from bridge.domain.acts import DialThird
from bridge.domain.peer import accepted_by_peer
from bridge.domain.shared_case import Attachment, SharedCase
from bridge.flows.calls import Spawn
from bridge.flows.case_desk import CaseDesk
from bridge.flows.outbox import Courier, NotDelivered
from bridge.flows.peer_core import KEPT, channel_of
from bridge.flows.peer_files import PeerFiles, attachment_of, name_of, offered
from bridge.flows.peer_words import Alias, Described, Peer, as_described
from bridge.flows.peers import Peers
from bridge.flows.ports import Clock, FileMissing, Files, StoreError
from bridge.flows.recorder import Recorder
from bridge.flows.room import Room
from bridge.settings.model import Desk, Settings, SettingsError
from bridge.settings.wires import Platform
from bridge.store.store import SqliteStore

_log = structlog.get_logger(__name__)


class Platforms:
    """Everything of [platforms]. Without any the door is shut and nothing runs."""

    def __init__(
        self,
        settings: Settings,
        store: SqliteStore,
        recorder: Recorder,
        clock: Clock,
        spawn: Spawn,
        tell_link: Callable[[str, str], None],
        environment: Mapping[str, str],
        cases: CaseDesk,
        files: Files,
        alarm: Callable[[str, str], None],
    ) -> None:
        """Raises SettingsError: a key or a CA's file cannot be used."""
        self._store = store
        self._clock = clock
        self._workers: dict[str, Courier] = {}
        self._clients: list[PlatformClient] = []
        self._files = files
        accesses = {
            ident: access_of(ident, platform, environment)
            for ident, platform in settings.platforms.items()
        }
        self.peers = Peers(
            site=settings.site.name,
            centre=settings.site.name,
            peers={
                ident: peer_of(ident, platform, settings.desks[ident])
                for ident, platform in settings.platforms.items()
            },
            recorder=recorder,
            clock=clock,
            spawn=spawn,
            poke=self._poke,
            tell_link=tell_link,
        )
        for ident, access in accesses.items():
            self._open(ident, access)
        self.peers.territory = settings.territory
        self.peers.described = described_by(cases, settings.http.public_url)
        self.fetched = PeerFiles(files, self._fetch, recorder, clock, spawn, alarm)
        self.peers.came = self.fetched.look
        self.doors: list[APIRouter] = [
            files_door(accesses, self._read, clock.now),
            platform_door(accesses, self.peers.receive, clock.now),
        ]

    def _open(self, ident: str, access: PlatformAccess) -> None:
        try:
            client = PlatformClient(access, self.peers.delivered, self._clock.now)
        except OSError as error:
            raise SettingsError(
                f"platforms.{ident}.ca_file: {access.ca_file}: 无法使用 / cannot be used ({error})"
            ) from error

        async def tell(words: str) -> None:
            await self.peers.link(ident, words)

        self._clients.append(client)
        self._workers[ident] = Courier(
            self._store.outbox,
            channel_of(ident),
            client.send,
            self._clock,
            tell,
        )

    async def _fetch(self, wanted: Attachment) -> bytes:
        """From the platform at whose address it is. Raises NotDelivered."""
        for client in self._clients:
            if client.has(wanted.url):
                return await client.fetch(wanted)
        raise NotDelivered("no platform has that address", refused=True)

    async def _read(self, peer: str, name: str) -> bytes:
        """A file that a case shared with that platform names. Raises FileMissing."""
        if not offered(self.peers.book, peer, name):
            raise FileMissing(name)
        return await self._files.read(name)

    def _poke(self, peer: str) -> None:
        worker = self._workers.get(peer)
        if worker is not None:
            worker.look()

    async def restore(self) -> None:
        """What earlier runs left."""
        rows = await self._store.reader.peer_cases(self._clock.now() - KEPT)
        self.peers.restore(rows)

    def attach(self, room: Room) -> None:
        """Documents go before the telephone rings."""

        async def before_dial(act: DialThird) -> None:
            await self.peers.before_dial(act, room.book.calls.get(act.call))

        if self.peers.peers:
            room.before_dial = before_dial

    def taken_by(self, case: str) -> str | None:
        """The platform that has taken over our case, or None (LY-16)."""
        return accepted_by_peer(self.peers.book, case)

    def files_here(self, case: str) -> set[str]:
        """Files that another desk has attached to our case and that are here."""
        shared = self.shared(case)
        named = {name_of(one) for one in shared.attachments} if shared is not None else set()
        return {name for name in named if name in self.fetched.here}

    def shared(self, case: str) -> SharedCase | None:
        """The document of our case, where another desk shares it."""
        book = self.peers.book
        record = book.cases.get(book.by_number.get(case, ""))
        return record.case if record is not None else None

    async def run(self) -> None:
        """What an earlier life did not send, then every worker, until cancelled."""
        try:
            await self.peers.catch_up()
            self.fetched.look_at_all(self.peers.book.cases.values())
        except StoreError as error:
            _log.error("platforms.not_caught_up", reason=str(error))
        try:
            async with asyncio.TaskGroup() as tasks:
                for ident, worker in self._workers.items():
                    tasks.create_task(worker.run(), name=f"platform {ident}")
        finally:
            for client in self._clients:
                with contextlib.suppress(OSError):
                    await client.close()


def described_by(cases: CaseDesk, public_url: str) -> Callable[[str], Awaitable[Described | None]]:
    """What was written of a case, in the words of the document that platforms share."""

    async def described(number: str) -> Described | None:
        found = await cases.known(number)
        if found is None:
            return None
        file = await cases.file(number)
        written = {name: value for name, value in asdict(file).items() if value}
        said = as_described(written, file.described_at)
        if not public_url:
            return said
        files = tuple(attachment_of(name, public_url) for name in file.attachments)
        return replace(said, attachments=files)

    return described


def access_of(ident: str, platform: Platform, environment: Mapping[str, str]) -> PlatformAccess:
    """Address and keys of a platform. Raises SettingsError."""
    named = [("key_file", platform.key_file)]
    if platform.next_key_file is not None:
        named.append(("next_key_file", platform.next_key_file))
    keys = [signing_key(f"platforms.{ident}.{key}", name, environment) for key, name in named]
    return PlatformAccess(peer=ident, url=platform.url, keys=keys, ca_file=platform.ca_file)


def peer_of(ident: str, platform: Platform, desk: Desk) -> Peer:
    """The peer record (LY-02)."""
    aliases = [Alias(one.number, one.since, one.until) for one in platform.aliases]
    return Peer(ident, desk.title, platform.url, aliases, desk.dial)
