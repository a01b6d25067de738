"""Two bridge110 daemons hand a case to each other and back; both have the same document."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.flows.rows import replay
from bridge.store.rebuild import check
from tests.channels.two_daemons import two_daemons


@pytest.mark.req("LY-02")
@pytest.mark.req("LY-10")
async def test_a_case_goes_over_and_comes_back_and_is_the_same_at_both_ends(tmp_path: Path) -> None:
    ident = "desk-a/C-7"
    async with two_daemons(tmp_path) as (here, there):
        await asyncio.gather(here.start(), there.start())
        await here.do(
            "peer-cases",
            case="C-7",
            to="12345",
            klass="GENERAL",
            place="金雀山路",
            words='路灯不亮\n<b>两盏</b> "${X}"',
            number="13805391234",
        )
        await there.case(ident, "requested")
        await there.do(f"peer-cases/{ident}/take-over", by="李", ticket="2026-0301-77")
        taken = await here.case(ident, "accepted")
        assert taken["document"]["ticket"] == "2026-0301-77"
        # the peer dies; what is said meanwhile is not lost
        there.process.kill()
        await here.do(f"peer-cases/{ident}/describe", place="金雀山路与沂蒙路路口")
        away = await here.until(lambda doc: doc["platforms"][0]["state"] == "down", "platforms")
        assert away["platforms"][0]["words"]
        await there.start()
        await there.until(
            lambda doc: doc["document"]["place"].endswith("路口"), f"peer-cases/{ident}"
        )
        await there.do(f"peer-cases/{ident}/hand-back", reason="属公安职责")
        back = await here.case(ident, "returned")
        there_too = await there.case(ident, "returned")
        assert back["digest"] == there_too["digest"]
        assert back["document"] == there_too["document"]
        assert back["document"]["feedback"][0]["words"] == "属公安职责"
        (line,) = (await here.until(lambda doc: doc["platforms"][0]["state"] == "up", "platforms"))[
            "platforms"
        ]
        assert line["sent"] >= 2
        assert line["received"] >= 2
        assert line["out_ms"] is not None
        assert line["in_ms"] is not None
        assert line["aliases"] == ["12319"]
        assert (line["dial"], line["url"][:7]) == ("PJSIP/12345@hotline", "http://")
        # the same request again is answered as the first time, also by another life
        key = "again-and-again-1"
        path, body = f"peer-cases/{ident}/feedback", {"kind": "progress", "words": "再核实"}
        first = await here.desk.request("POST", path, body, key)
        await here.until(lambda doc: doc["delivered"]["12345"], f"peer-cases/{ident}")
        here.process.kill()
        await here.start()
        second = await here.desk.request("POST", path, body, key)
        assert (first.status, first.doc) == (second.status, second.doc)
        final = await there.until(
            lambda doc: len(doc["document"]["feedback"]) == 2, f"peer-cases/{ident}"
        )
        mine = await here.until(lambda doc: doc["delivered"]["12345"], f"peer-cases/{ident}")
        assert final["digest"] == mine["digest"]
        for one in (here, there):
            await one.process.stop()
            assert check(one.directory / "bridge110.db", replay) == []


async def test_what_is_not_allowed_is_refused(tmp_path: Path) -> None:
    async with two_daemons(tmp_path) as (here, _):
        await here.start()
        for path, body, status in (
            ("peer-cases", {"case": "C-1", "to": "99999"}, 404),
            ("peer-cases", {"case": "../x", "to": "12345"}, 400),
            ("peer-cases", {"case": "C-1", "to": "12345", "words": "a\u0000"}, 400),
            ("peer-cases/desk-a/none/take-over", {"by": "李"}, 404),
            ("peer-cases/desk-a/none/hand-back", {"reason": ""}, 400),
        ):
            reply = await here.desk.request("POST", path, body)
            assert reply.status == status, (path, reply)
        assert (await here.desk.request("GET", "peer-cases?status=nonsense")).status == 400
        assert (await here.desk.request("GET", "peer-cases/desk-a/none")).status == 404


async def test_the_command_line_of_platforms(tmp_path: Path) -> None:
    async with two_daemons(tmp_path) as (here, _):
        await here.start()
        token = tmp_path / "token"
        token.write_text(here.process.token)
        command = [sys.executable, "-m", "bridge", "platform"]
        options = ["--config", str(here.process.config), "--token-file", str(token), "--json"]
        await here.do("peer-cases", case="C-1", to="12345", place="某路")
        for name, member in (("status", "platforms"), ("cases", "cases")):
            done = await asyncio.to_thread(
                subprocess.run, [*command, name, *options], capture_output=True, check=True
            )
            (line,) = json.loads(done.stdout)[member]
            assert "12345" in (line.get("peer"), *line.get("delivered", ()))
        assert (await here.desk.request("GET", "orders/none/sheet")).status == 404
