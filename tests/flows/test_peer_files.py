"""Files of shared cases: only what the hash names, from where it may come, is kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bridge.channels.platform import PlatformAccess, PlatformClient
from bridge.domain.peer import PeerBook, PeerCase
from bridge.domain.shared_case import Attachment, SharedCase
from bridge.flows.outbox import NotDelivered
from bridge.flows.peer_files import PeerFiles, attachment_of, name_of, offered
from bridge.flows.ports import Transaction
from bridge.store.files import Files
from tests.channels.mail_kit import FixedClock

PNG = b"\x89PNG\r\n\x1a\n a picture"
HASH = hashlib.sha256(PNG).hexdigest()
URL = "https://12345.example/files/x"
HERE = Attachment(HASH, "image/png", URL)


class Kept:
    """A recorder that remembers what it was given."""

    def __init__(self) -> None:
        self.names: list[Any] = []
        self.alarms: dict[str, str] = {}

    async def commit(self, work: Transaction) -> None:
        self.names += [fact.data["attachments"] for fact in work.facts]


async def brought(
    tmp_path: Path, wanted: Attachment, answers: list[bytes | Exception]
) -> tuple[Kept, int]:
    """What was kept, and how often it was asked for, as the daemon's task group runs it."""
    kept, asked = Kept(), 0

    async def fetch(_: Attachment) -> bytes:
        nonlocal asked
        asked += 1
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with asyncio.TaskGroup() as tasks:

        def spawn(work: Coroutine[Any, Any, object], name: str) -> None:
            tasks.create_task(work, name=name)

        here = Files(tmp_path / "files", 0)
        alarm = kept.alarms.__setitem__
        files = PeerFiles(here, fetch, kept, FixedClock(), spawn, alarm)
        files.look(PeerCase(SharedCase("1", "there", attachments=(wanted,))))
    return kept, asked


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.flows.peer_files.AGAIN_S", (0.0, 0.0, 0.0))


async def test_what_the_hash_names_is_kept_and_journaled(tmp_path: Path) -> None:
    kept, _ = await brought(tmp_path, HERE, [NotDelivered("away"), PNG])
    assert kept.names == [[f"{HASH}.png"]]
    assert kept.alarms == {f"peer.file.{HASH[:12]}": ""}
    assert (tmp_path / "files" / f"{HASH}.png").read_bytes() == PNG
    again, asked = await brought(tmp_path, HERE, [])
    assert (again.names, asked) == ([], 0), "it is here"


@pytest.mark.parametrize(
    ("wanted", "answers", "asked"),
    [
        (HERE, [b"other octets"], 1),
        (HERE, [NotDelivered("too large", refused=True)], 1),
        (HERE, [NotDelivered("away")] * 3, 3),
        (Attachment(hashlib.sha256(b"<html>").hexdigest(), "image/png", URL), [b"<html>"], 1),
        (Attachment(HASH, "text/html", URL), [], 0),
    ],
)
async def test_anything_else_is_not(
    tmp_path: Path, wanted: Attachment, answers: list[bytes | Exception], asked: int
) -> None:
    kept, times = await brought(tmp_path, wanted, [*answers])
    assert (kept.names, times) == ([], asked)
    told = [words for words in kept.alarms.values() if "未能取得" in words]
    assert len(told) == (1 if asked else 0), "a person is told of a file that is lacking"
    assert list((tmp_path / "files").iterdir()) == []


@pytest.mark.parametrize(
    "url", ["https://[x/y", "https://other.example/x", "http://12345.example/x", "https://a:b/x"]
)
async def test_nothing_is_fetched_from_elsewhere(url: str) -> None:
    async def never(*_: object) -> None:
        raise AssertionError

    access = PlatformAccess(
        peer="12345", url="https://12345.example/platform/110", keys=[b"k" * 32]
    )
    client = PlatformClient(access, never, FixedClock().now)
    assert client.has(URL)
    assert not client.has(url)
    with pytest.raises(NotDelivered):
        await client.fetch(Attachment(HASH, "image/png", "https://[x/y"))
    await client.close()


def test_a_file_is_offered_to_whom_its_case_is_shared_with() -> None:
    book = PeerBook()
    mine = attachment_of(f"{HASH}.png", "https://110.example")
    book.cases["x"] = PeerCase(SharedCase("1", "here", attachments=(mine,)), queued={"12345": ""})
    assert mine.url == f"https://110.example/platform/files/{HASH}.png"
    assert name_of(mine) == f"{HASH}.png"
    found: Callable[[str], bool] = lambda peer: offered(book, peer, f"{HASH}.png")  # noqa: E731
    assert (found("12345"), found("12349")) == (True, False)
    assert not offered(book, "12345", "0" * 64 + ".png")
