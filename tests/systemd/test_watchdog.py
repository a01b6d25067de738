"""Fed while the parts move, be Asterisk and the disk as they may; not when one of them hangs."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.app.watchdog import Part, Watchdog
from bridge.asterisk.link_state import LinkState
from bridge.asterisk.start_watch import StartWatch
from bridge.flows.ports import StoreError
from tests.asterisk.ami_peer import AmiPeer
from tests.asterisk.watched import Watched, running, settings
from tests.store.store_kit import busy_writer, decision, opened, until

QUICK: dict[str, Any] = {"login_timeout": 0.3, "booted_timeout": 0.2, "action_timeout": 0.2}
LOOKED_S = 1.2
"""How long each link is looked at: many attempts and pings at these settings."""


def judged(*due: Callable[[], float], patience_s: float = 1.0) -> tuple[Watchdog, list[str]]:
    """A watchdog over parts named a, b, …, and what it told the service manager."""
    told: list[str] = []
    parts = [Part(name, look) for name, look in zip("abc", due, strict=False)]
    return Watchdog(parts, time.monotonic, patience_s=patience_s, tell=told.append), told


def test_it_is_fed_only_while_every_part_moves() -> None:
    now, due = [100.0], {"store": 100.0, "ami": 103.0}
    told: list[str] = []
    parts = [Part("store", lambda: due["store"]), Part("ami", lambda: due["ami"])]
    dog = Watchdog(parts, lambda: now[0], patience_s=8.0, tell=told.append)
    with capture_logs() as lines:
        for second, fed in ((108.0, True), (108.1, False), (109.0, False), (111.5, False)):
            now[0] = second
            assert dog.feed() is fed, second
        assert dog.hanging() == ("store", "ami")
        due.update(store=111.0, ami=111.0)
        assert dog.feed()
    assert told == ["WATCHDOG=1", "WATCHDOG=1"]
    assert [(line["event"], line["parts"]) for line in lines] == [
        ("watchdog.hangs", ["store"]),
        ("watchdog.hangs", ["store", "ami"]),
        ("watchdog.well", []),
    ]


@pytest.mark.parametrize(("unit", "patience"), [("10000000", 8.0), ("4000000", 3.2), ("", 8.0)])
def test_parts_have_four_fifths_of_the_units_time(
    unit: str, patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", unit)
    assert Watchdog([Part("a", lambda: 0.0)], lambda: patience).feed()
    assert not Watchdog([Part("a", lambda: -0.01)], lambda: patience).feed()


async def test_a_loop_that_hangs_does_not_feed() -> None:
    """And is fed often enough when it turns: four times in a part's patience."""
    dog, told = judged(time.monotonic, patience_s=0.2)
    feeding = asyncio.create_task(dog.run())
    await until(lambda: len(told) >= 4)
    before = len(told)
    time.sleep(0.5)
    assert len(told) == before
    feeding.cancel()


async def looked_at(link: Watched, dog: Watchdog, seconds: float = LOOKED_S) -> None:
    """The link is never found hanging in this time."""
    until_then = time.monotonic() + seconds
    while time.monotonic() < until_then:
        assert dog.feed(), link.states
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "asterisk", ["dead", "wrong secret", "black hole", "half-open", "flapping"]
)
async def test_an_asterisk_that_is_not_well_is_no_reason_to_be_killed(asterisk: str) -> None:
    async with AmiPeer() as peer:
        given = {**QUICK, "secret": "wrong"} if asterisk == "wrong secret" else QUICK
        async with running(settings(peer.port, **given)) as link:
            dog, told = judged(lambda: link.link.due_at)
            if asterisk == "dead":
                await peer.close()
            elif asterisk == "black hole":
                peer.silent = True
            elif asterisk == "half-open":
                await link.wait_up()
                peer.silent = True
            elif asterisk == "flapping":
                await link.wait_up()
                peer.cut()
            await looked_at(link, dog)
            assert len(told) > 10
            if asterisk == "wrong secret":
                assert link.link.state is LinkState.BAD_SECRET
                assert link.link.due_at > time.monotonic() + 10  # a wait of a minute is announced


async def test_an_ami_task_that_is_stuck_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> bool:
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr(StartWatch, "restarted", never)
    async with AmiPeer() as peer, running(settings(peer.port, **QUICK)) as link:
        dog, _ = judged(lambda: link.link.due_at, patience_s=0.3)
        await until(lambda: dog.hanging() == ("a",))


async def test_a_store_worker_that_hangs_is_found_and_one_that_fails_is_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        dog, _ = judged(lambda: store.health().finished_at, patience_s=0.5)
        async with busy_writer(store):
            await until(lambda: dog.hanging() == ("a",))
        await until(lambda: not dog.hanging())
        with pytest.raises(StoreError):
            await store.commit(decision(1, case=""))  # the schema refuses: done with, and told
        numbers = itertools.count()
        end = time.monotonic() + 1.0
        while time.monotonic() < end:  # nothing to do is no hang either
            assert dog.feed(), next(numbers)
            await asyncio.sleep(0.02)
