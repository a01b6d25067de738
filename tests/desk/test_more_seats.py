"""Seats are read again while the desk runs: added, refused with the file, kept while in use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.app.seats import SeatList, read_again
from bridge.settings.model import Settings, SettingsError
from tests.desk.desk_kit import Clock, Kit, running, settings, until


@pytest_asyncio.fixture
async def kit(tmp_path: Path) -> AsyncIterator[Kit]:
    async with running(tmp_path) as made:
        yield made


def asking(directory: Path, *ids: str) -> Callable[[], Settings]:
    """The site's settings with these seats."""

    def read() -> Settings:
        site = settings(directory)
        return site.model_copy(update={"seats": site.seats.model_copy(update={"ids": ids})})

    return read


def broken() -> Settings:
    raise SettingsError("seats.ids: ...")


async def again(kit: Kit, read: Callable[[], Settings]) -> None:
    seats = kit.desk._seats
    assert isinstance(seats, SeatList)
    await read_again(read, seats, kit.room, Clock(), kit.view.alarm)


async def shown(kit: Kit) -> list[str]:
    return [seat["id"] for seat in (await kit.client("L-8003").get("seats"))["seats"]]


@pytest.mark.req("LU-07")
async def test_a_seat_more_is_there_at_once_and_its_coming_is_a_fact(
    kit: Kit, tmp_path: Path
) -> None:
    log_on = {"agent": "王", "role": "110"}
    refused = await kit.client("L-8003").do("PUT", "seats/8004/agent", log_on)
    assert refused.json()["code"] == "no-such-seat"
    await again(kit, asking(tmp_path, "8001-8004"))
    assert await shown(kit) == ["8001", "8002", "8003", "8004"]
    done = await kit.client("L-8003").do("PUT", "seats/8004/agent", log_on)
    assert done.status_code == 202, done.text
    assert (await kit.journalled("room.seats")).data == {"added": ["8004"], "removed": []}


async def test_a_seat_in_use_stays_until_nobody_sits_there(kit: Kit, tmp_path: Path) -> None:
    client = kit.client("T-8002")
    await client.do("PUT", "seats/8002/agent", {"agent": "王", "role": "110"})
    await until(lambda: kit.room.book.seats["8002"].state != "loggedOff")
    await again(kit, asking(tmp_path, "8001"))
    assert await shown(kit) == ["8001", "8002"]
    assert (await client.do("DELETE", "seats/8002/agent")).status_code == 202
    await again(kit, asking(tmp_path, "8001"))
    assert await shown(kit) == ["8001"]


async def test_a_file_with_a_fault_changes_nothing_and_is_an_alarm(
    kit: Kit, tmp_path: Path
) -> None:
    before = await shown(kit)
    await again(kit, broken)
    assert await shown(kit) == before
    assert "settings" in kit.view.alarms
    await again(kit, asking(tmp_path, "8001-8003"))
    assert "settings" not in kit.view.alarms
