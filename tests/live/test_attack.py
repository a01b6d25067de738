"""Every hostile string through every live door at a real Asterisk, then a look at every way out."""

from __future__ import annotations

import time

import pytest

from tests.attack import doors
from tests.attack.corpus import STRINGS
from tests.attack.doors_live import live_ground
from tests.attack.outputs import nothing_was_run
from tests.live.conftest import NewSwitch

doors.find()
pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


async def test_nothing_hostile_does_anything_but_be_shown(new_switch: NewSwitch) -> None:
    switch = await new_switch()
    took: dict[str, float] = {}
    async with live_ground(switch) as ground:
        for kind in (doors.DOORS, doors.OUTPUTS):
            for name, act in kind["live"].items():
                began = time.monotonic()
                await act(ground, STRINGS)
                took[name] = round(time.monotonic() - began, 1)
                assert switch.running, name
                assert ground.world.daemon.running, name
        assert ground.answered > len(STRINGS)
        for place in (switch.run.path, switch.run.etc, switch.run.recordings):
            assert not list(place.glob("*marker*"))
    nothing_was_run()
    print(took, ground.answered, ground.refused)
