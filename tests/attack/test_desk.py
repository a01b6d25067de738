"""Every hostile string through every door of a desk, then a look at all that comes out of it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from bridge.desk import server
from bridge.desk.tokens import Rates
from bridge.documents.service import Documents
from tests.attack import doors
from tests.attack.corpus import STRINGS
from tests.attack.doors_desk import desk_ground
from tests.attack.outputs import nothing_was_run
from tests.documents.papers import ZONE

doors.find()


@pytest.mark.timeout(300)
async def test_nothing_hostile_does_anything_but_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rates, "take", lambda *_: True)  # its own test shows the rate
    monkeypatch.setattr(server, "HEADER_SECONDS", 1.0)  # what follows a broken head never comes
    with contextlib.closing(Documents(ZONE)) as documents:
        async with desk_ground(tmp_path, documents) as ground:
            for name, push in doors.DOORS["desk"].items():
                await push(ground, STRINGS)
                assert ground.kit.state(ground.call) == "established", name
            for check in doors.OUTPUTS["desk"].values():
                await check(ground, STRINGS)
    nothing_was_run()
