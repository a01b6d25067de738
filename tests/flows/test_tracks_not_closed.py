"""A recording that cannot be closed is told in the journal; it never ends the daemon."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn, cast

import pytest

from bridge.app import daemon as root
from bridge.domain.call import Call, Leg, Role
from bridge.flows.view import View
from bridge.store.store import SqliteStore
from bridge.tracks.folder import NotReady
from tests.settings.settings_kit import make_places, settings, shipped

AT = datetime(2026, 11, 24, 3, tzinfo=UTC)


async def test_a_recording_that_cannot_be_closed_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def still_grows(*_: object, **__: object) -> NoReturn:
        raise NotReady("call 1.1: a.wav still grows; close the call again")

    monkeypatch.setattr(root, "close_call", still_grows)
    loaded = settings(make_places(tmp_path, shipped()))
    view = View("epoch", lambda: AT, loaded.site.tz)
    daemon = root.Daemon(loaded, cast(SqliteStore, SimpleNamespace(reader=None)), view)
    call = Call("1.1", "20261124-0001", "PJSIP/trunk-1", "138", "110")
    call.legs["1.1"] = Leg("1.1", call.channel, Role.CITIZEN, "citizen", joined_at=AT)
    found = await daemon._tracks(call)
    assert found == {"error": "call 1.1: a.wav still grows; close the call again"}
