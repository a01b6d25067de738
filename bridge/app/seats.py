"""The seats of the site, read again while running: more of them need no restart (LU-07)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence

import structlog

from bridge.domain.journal import Fact, Json
from bridge.flows.ports import Clock
from bridge.flows.room import Room
from bridge.settings.model import Settings, SettingsError

_log = structlog.get_logger(__name__)

ALARM = "settings"


class SeatList(Collection[str]):
    """Seats in the order of the file; whoever holds it sees each change."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = dict.fromkeys(ids)

    def __contains__(self, seat: object) -> bool:
        return seat in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._ids))

    def __len__(self) -> int:
        return len(self._ids)

    def replace(self, ids: Sequence[str]) -> None:
        """From now on these."""
        self._ids = dict.fromkeys(ids)


async def read_again(
    read: Callable[[], Settings],
    seats: SeatList,
    room: Room,
    clock: Clock,
    alarm: Callable[[str, str], None],
) -> None:
    """Take seats that were added to the settings, let go of those that were taken out and at which
    nobody is logged on. A file that cannot be used changes nothing and is an alarm; what else was
    changed in it needs a restart."""
    try:
        wanted = (await asyncio.to_thread(read)).seats.all
    except SettingsError as error:
        _log.error("settings.not_read", reason=str(error))
        alarm(ALARM, f"配置未生效 / the settings were not taken: {error}")
        return
    alarm(ALARM, "")
    busy = [seat for seat in seats if seat not in wanted and _is_taken(room, seat)]
    added: list[Json] = [seat for seat in wanted if seat not in seats]
    removed: list[Json] = [seat for seat in seats if seat not in (*wanted, *busy)]
    seats.replace((*wanted, *busy))
    _log.info("settings.seats", added=added, removed=removed, still_logged_on=busy)
    if added or removed:
        data: dict[str, Json] = {"added": added, "removed": removed}
        room.note(Fact("room.seats", clock.now(), actor="daemon", data=data))


def _is_taken(room: Room, seat: str) -> bool:
    record = room.book.seats.get(seat)
    return record is not None and record.state != "loggedOff"
