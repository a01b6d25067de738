"""The data of a case stand on the other desk before its telephone rings, and follow the call."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.lab.desk_client import DeskClient
from bridge.lab.ports import HOST, spare_ports
from bridge.lab.settings_file import STORE_FILE
from bridge.lab.switch import Switch
from bridge.lab.world import World, make_world
from bridge.store import Reader
from bridge.wire.webhook import headers
from tests.channels.two_daemons import OneDaemon, one_daemon
from tests.live.conftest import NewSwitch
from tests.live.people import all_talk, fetched
from tests.live.platform_peer import PlatformPeer
from tests.live.room import Room, Talk, room_of

pytestmark = [pytest.mark.live]

KEY = "live-platform-key-0123456789abcdef"


@contextlib.asynccontextmanager
async def linked(switch: Switch, peer: PlatformPeer) -> AsyncIterator[Room]:
    """A room whose desk 12345 has a platform: `peer`."""
    async with linked_to(switch, peer.url) as room:
        yield room


@contextlib.asynccontextmanager
async def linked_to(switch: Switch, url: str) -> AsyncIterator[Room]:
    """A room whose desk 12345 has a platform at that address."""
    world = make_world(switch)
    secret = switch.run.path / "platform-key"
    secret.write_text(KEY)
    secret.chmod(0o600)
    more = f"\n[platforms.12345]\nurl = {json.dumps(url)}\n"
    more += f"key_file = {json.dumps(str(secret))}\n"
    more += 'aliases = [{ number = "12319", since = 2024-01-01 },'
    more += ' { number = "12318", since = 2099-01-01 }]\n'
    config = world.daemon.config
    text = config.read_text(encoding="utf-8") + more
    own = f"http://{HOST}:{world.ports.http}"
    text = text.replace("[http]\n", f'[http]\npublic_url = "{own}"\n', 1)
    config.write_text(text, encoding="utf-8")
    await world.daemon.start()
    try:
        async with room_of(world) as room:
            yield room
    finally:
        await world.daemon.stop()


async def shared(room: Room, talk: Talk, *statuses: str) -> Any:
    """The call's document as the desk has it, once it has one of these statuses."""

    async def look() -> Any:
        for one in (await talk.desk.must("GET", "peer-cases"))["cases"]:
            if one["document"]["status"] in statuses:
                return one
        return None

    return await talk.desk.wait_for(look, 20.0, f"document {statuses}")


def back_to(world: World) -> str:
    return f"http://127.0.0.1:{world.ports.http}/platform/12345"


@pytest.mark.req("LY-10")
@pytest.mark.req("LY-16")
async def test_the_document_is_there_before_the_telephone_rings_and_follows_the_call(
    new_switch: NewSwitch,
) -> None:
    peer = PlatformPeer(KEY.encode())
    await peer.start()
    async with linked(await new_switch(), peer) as room:
        hotline = await room.people.hotline()
        talk = await room.talking()
        await talk.act("three-way", to="12345")
        third = await fetched(hotline)
        first = peer.arrived[0]
        assert first.monotonic < third.invite_at  # by the peer's own clock
        assert first.document["status"] == "requested"
        assert first.document["caller"]["number"] == talk.number
        case = (await talk.desk.call(talk.id))["case"]
        assert first.document["case"] == case
        assert first.document["call"] == third.headers["X-Case-Id"]
        await all_talk(talk.citizen, talk.at_seat, third)
        taken = await shared(room, talk, "accepted")
        assert taken["document"]["handoff"]["accepted_at"] is not None
        # the other platform writes its ticket and goes on: the desk follows
        ticket = {
            "schema": "bridge110.case/1",
            "case": case,
            "origin": "lab",
            "ticket": "12345-2026-9",
            "status": "handling",
            "feedback": [{"at": "2026-03-01T08:00:00Z", "kind": "progress", "words": "已派单"}],
        }
        status, _ = await peer.send(back_to(room.world), ticket, "peer-ticket-1")
        assert status == 200
        followed = await shared(room, talk, "handling")
        assert followed["document"]["ticket"] == "12345-2026-9"
        assert followed["document"]["handoff"]["accepted_at"] is not None  # nothing was emptied
        order = {"units": ["6001"], "words": "修路灯"}
        refused = await room.world.leader.request("POST", f"cases/{case}/orders", order)
        assert (refused.status, refused.doc["code"]) == (409, "case-with-other-desk")
    peer.stop()


@pytest.mark.req("LY-13")
async def test_with_the_platform_away_the_telephone_rings_all_the_same(
    new_switch: NewSwitch,
) -> None:
    peer = PlatformPeer(KEY.encode())
    await peer.start()
    peer.hold = 4.0  # takes its time: longer than a telephone waits
    async with linked(await new_switch(), peer) as room:
        hotline = await room.people.hotline()
        talk = await room.talking()
        assert (await talk.desk.request("POST", f"calls/{talk.id}/three-way", {"to": "12318"})).doc[
            "code"
        ] == "no-such-target"  # becomes 12345's in 2099
        await talk.act("three-way", to="12319")  # has been 12345's since 2024
        third = await fetched(hotline)
        assert not peer.arrived
        await all_talk(talk.citizen, talk.at_seat, third)
        peer.hold = 0.0
        await shared(room, talk, "accepted")

        async def there() -> bool:
            return any(one.document["status"] == "accepted" for one in peer.arrived)

        await talk.desk.wait_for(there, 40.0, "the document arrives later")
        line = (await talk.desk.must("GET", "platforms"))["platforms"][0]
        assert line["peer"] == "12345"
    peer.stop()


@pytest.mark.req("LY-10")
async def test_the_other_bridge110_has_the_case_before_its_telephone_rings_and_gives_it_back(
    new_switch: NewSwitch, tmp_path: Path
) -> None:
    """Both ends are ours: a daemon with its Asterisk, and the daemon of the desk that is called."""
    switch = await new_switch()
    with spare_ports() as ports:
        other = one_daemon("desk-b", tmp_path / "b", ports, switch.site.ports, KEY)
        await other.start()
        url = f"http://{HOST}:{ports.http}/platform/12345"
        try:
            async with linked_to(switch, url) as room:
                await _over_and_back(room, other)
        finally:
            await other.process.stop()


async def _picture_goes_along(talk: Talk, other: OneDaemon, ident: str) -> None:
    """A picture that the seat puts to the case is fetched by the other desk and kept there."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
    name = f"{hashlib.sha256(picture).hexdigest()}.png"
    async with web(talk.desk) as ours, web(other.desk) as theirs:
        put = await ours.post(f"cases/{ident.partition('/')[2]}/attachments", content=picture)
        assert put.status_code == 202, put.text
        there = await other.until(lambda doc: doc["document"]["attachments"], f"peer-cases/{ident}")
        (named,) = there["document"]["attachments"]
        assert (named["sha256"] + ".png", named["type"]) == (name, "image/png")

        async def come() -> bool:
            found = await theirs.get(f"peer-cases/{ident}/attachments/{name}")
            return found.content == picture

        await talk.desk.wait_for(come, 10, "the picture at the other desk")
        for signed in ({}, headers(KEY.encode(), "file-" + "0" * 64, datetime.now(UTC), b"")):
            assert (await ours.get(named["url"], headers=signed)).status_code == 401
    facts = [entry.fact for entry in await Reader(other.directory / STORE_FILE).entries_after(0)]
    assert [f.data["attachments"] for f in facts if f.kind == "peer.attached"] == [[name]]


def web(desk: DeskClient) -> httpx.AsyncClient:
    """Octets instead of documents."""
    signed = {
        "Authorization": f"Bearer {desk.token}",
        "Idempotency-Key": secrets.token_hex(8),
        "Content-Type": "application/octet-stream",
    }
    url = f"http://{desk.host}:{desk.port}/api/v1/"
    return httpx.AsyncClient(base_url=url, headers=signed, trust_env=False)


async def _over_and_back(room: Room, other: OneDaemon) -> None:
    hotline = await room.people.hotline()
    talk = await room.talking()
    await talk.act("three-way", to="12345")
    third = await fetched(hotline)
    rang = time.time() - (time.monotonic() - third.invite_at)
    ident = f"lab/{(await talk.desk.call(talk.id))['case']}"
    await all_talk(talk.citizen, talk.at_seat, third)
    accepted = await other.case(ident, "accepted")
    assert accepted["document"]["caller"]["number"] == talk.number
    assert accepted["document"]["call"] == third.headers["X-Case-Id"]
    facts = [entry.fact for entry in await Reader(other.directory / STORE_FILE).entries_after(0)]
    first = next(fact for fact in facts if fact.kind == "peer.case" and fact.subject == ident)
    assert first.at.timestamp() < rang, "durable there, by its own clock, before its telephone rang"
    await _picture_goes_along(talk, other, ident)
    await other.do(f"peer-cases/{ident}/feedback", kind="progress", words="已派单")
    await other.do(f"peer-cases/{ident}/hand-back", reason="属公安职责")
    back = await shared(room, talk, "returned")
    there = await other.case(ident, "returned")
    assert (back["digest"], back["document"]) == (there["digest"], there["document"])
    assert [line["words"] for line in back["document"]["feedback"]] == ["已派单", "属公安职责"]
