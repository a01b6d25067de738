"""`bridge110 dialplan`: exit status 0, 1, 2; JSON on stdout; errors with place and mend."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli.dialplan import app

GOOD = "; channel: third\n; words\n[x]\nexten => 110,1,Hangup()\n"
BAD = GOOD.replace("Hangup()", "Dial(PJSIP/1)")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return tmp_path / "plan.conf"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


@contextlib.contextmanager
def daemon(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A daemon that answers every request so, and the requests that it saw."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.path} {self.headers.get('Authorization')}")
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_good_plan_is_0_and_says_so(plan: Path) -> None:
    plan.write_text(GOOD)
    status, out, _ = run("lint", plan)
    assert status == 0
    assert "0 处错误,0 处警告 / 0 errors, 0 warnings (1 files, 1 contexts)" in out


def test_errors_are_1_and_warnings_only_when_strict(plan: Path) -> None:
    plan.write_text(BAD)
    status, out, _ = run("lint", plan)
    assert status == 1
    assert f"{plan}:4: error [dial-no-timeout]" in out
    plan.write_text(GOOD.replace("; words\n", ""))
    assert run("lint", plan)[0] == 0
    assert run("lint", plan, "--strict")[0] == 1


def test_findings_as_json(plan: Path) -> None:
    plan.write_text(BAD)
    status, out, _ = run("lint", plan, "--json")
    document = json.loads(out)
    assert status == 1
    assert document["files"] == [str(plan)]
    assert [(f["rule"], f["line"]) for f in document["findings"]] == [("dial-no-timeout", 4)]
    assert document["findings"][0]["mend_zh"]


def test_file_that_cannot_be_read_is_2_with_place_and_mend(plan: Path, tmp_path: Path) -> None:
    plan.write_bytes("[x]\n; 张三\n".encode("gbk"))
    status, out, err = run("lint", plan)
    assert (status, out) == (2, "")
    assert f"{plan}:2: bytes look like GBK" in err
    assert "iconv" in err
    assert run("lint", tmp_path / "nothing")[0] == 2
    (tmp_path / "empty").mkdir()
    assert run("lint", tmp_path / "empty")[0] == 2


def test_directory_of_plans_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text(GOOD.replace("Hangup()", "Goto(y,s,1)"))
    (tmp_path / "b.conf").write_text("; channel: third\n; words\n[y]\nexten => s,1,Hangup()\n")
    assert run("lint", tmp_path)[0] == 0
    assert run("lint", tmp_path / "a.conf")[0] == 1


def test_shipped_plans_are_checked_without_arguments() -> None:
    status, out, _ = run("lint", "--json", "--strict")
    assert status == 0
    assert any(name.endswith("citizen.conf") for name in json.loads(out)["files"])


def test_explanation_for_people_and_programs() -> None:
    status, out, _ = run("explain", "110")
    assert status == 0
    assert "[police110]" in out
    status, out, _ = run("explain", "110", "--json")
    document = json.loads(out)
    assert document["number"] == "110"
    assert document["parts"][0]["context"] == "from-trunk"


def test_wrong_number_is_2_and_no_place_is_1(plan: Path) -> None:
    plan.write_text(GOOD)
    assert run("explain", "11a", "--path", plan, "--context", "x")[0] == 2
    status, _, err = run("explain", "119", "--path", plan, "--context", "x")
    assert status == 1
    assert "no place for 119" in err


def test_seats_now_come_from_the_daemon_with_the_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    body = json.dumps({"seats": [{"seat": "8001", "state": "ready"}, "odd"]}).encode()
    with daemon(200, body) as (url, seen):
        status, out, _ = run("explain", "110", "--now", "--url", url, "--token-file", token)
    assert status == 0
    assert "8001(ready)" in out
    assert seen == ["/api/v1/snapshot Bearer secret"]


@pytest.mark.parametrize(("status", "body"), [(401, b"{}"), (200, b"not json"), (200, b"\xff")])
def test_daemon_that_does_not_answer_well_is_1(status: int, body: bytes) -> None:
    with daemon(status, body) as (url, _):
        code, out, err = run("explain", "110", "--now", "--url", url)
    assert (code, out) == (1, "")
    assert "守护进程没有答复" in err


def test_daemon_that_is_not_there_is_1_and_a_strange_address_2(tmp_path: Path) -> None:
    assert run("explain", "110", "--now", "--url", "http://127.0.0.1:1")[0] == 1
    assert run("explain", "110", "--now", "--url", "file:///etc/passwd")[0] == 2
    missing = tmp_path / "no-token"
    assert run("explain", "110", "--now", "--token-file", missing)[0] == 2
