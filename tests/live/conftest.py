"""A real Asterisk for the tests of this directory."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.lab.ports import spare_ports
from bridge.lab.root import AsteriskRoot, cache_dir
from bridge.lab.rootbuild import ensure_root
from bridge.lab.rundir import RunDir
from bridge.lab.site import LabSite
from bridge.lab.sounds import make_sounds
from bridge.lab.switch import Switch
from bridge.lab.world import World, make_world
from bridge.share import share

NewSwitch = Callable[[], Awaitable[Switch]]
NewWorld = Callable[[], Awaitable[World]]


@pytest.fixture(scope="session")
def asterisk_root() -> AsteriskRoot:
    return ensure_root()


@contextlib.contextmanager
def prepared_switch(root: AsteriskRoot, fax_port: int = 0) -> Iterator[Switch]:
    """A switch on ports of its own, not started; its run directory is gone afterwards."""
    run = RunDir(Path(tempfile.mkdtemp(prefix="bridge110-test-")))
    try:
        with spare_ports() as ports:
            site = LabSite(
                ports,
                ami_secret="testamisecret",
                sip_secret="testsipsecret",
                fax_port=fax_port,
            )
            made = Switch(root, site, run)
            made.prepare()
            prompts = share("dialplans") / "prompts.toml"
            make_sounds(prompts, run.sounds, cache=cache_dir() / "sounds")
            yield made
    finally:
        shutil.rmtree(run.path, ignore_errors=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def switch(asterisk_root: AsteriskRoot) -> AsyncIterator[Switch]:
    """One running Asterisk for the whole session: tests leave it as they found it."""
    with prepared_switch(asterisk_root) as running:
        await running.start()
        try:
            yield running
        finally:
            await running.stop()


@pytest_asyncio.fixture
async def new_switch(asterisk_root: AsteriskRoot) -> AsyncIterator[NewSwitch]:
    """Makes and starts an Asterisk that the test may kill, freeze or restart."""
    with contextlib.ExitStack() as made:
        started: list[Switch] = []

        async def make() -> Switch:
            one = made.enter_context(prepared_switch(asterisk_root))
            await one.start()
            started.append(one)
            return one

        yield make
        for one in started:
            await one.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(asterisk_root: AsteriskRoot) -> AsyncIterator[World]:
    """One Asterisk with one daemon for the whole session: tests leave both as they found them."""
    with prepared_switch(asterisk_root) as running:
        await running.start()
        made = make_world(running)
        await made.daemon.start()
        try:
            yield made
        finally:
            await made.daemon.stop()
            await running.stop()


@pytest_asyncio.fixture
async def new_world(new_switch: NewSwitch) -> AsyncIterator[NewWorld]:
    """Makes an Asterisk and a daemon that the test may kill, cut off or restart."""
    made: list[World] = []

    async def make() -> World:
        one = make_world(await new_switch())
        await one.daemon.start()
        made.append(one)
        return one

    yield make
    for one in made:
        await one.daemon.stop()
