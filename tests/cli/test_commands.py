"""Exit status 0, 1, 2; errors on standard error with place and mend; tokens and status."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from bridge.asterisk.conf import read_conf
from bridge.cli.check_files import endpoint_faults, shipped_contexts
from bridge.cli.check_live import version_of
from bridge.cli.check_machine import host_name
from bridge.cli.output import CommandError
from bridge.settings.file import load
from bridge.share import share
from bridge.tokens import digest, read_tokens
from tests.cli.cli_kit import make_config, run
from tests.settings.test_wires import MAIL


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_done_is_0_failed_is_1_with_the_place_and_wrong_use_is_2(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    done = program("token", "list", "--json", "--config", config)
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, {"tokens": []}, "")
    config.write_text(config.read_text().replace("port = 4573", "prot = 4573"))
    done = program("token", "list", "--config", config)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{config}:")
    assert "fastagi.prot: 未知的键" in done.stderr
    assert "Traceback" not in done.stderr
    assert program("token", "new", "--role", "Z").returncode == 2
    assert program("no-such-command").returncode == 2


def test_run_refuses_bad_settings_before_it_opens_anything(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    config.write_text(config.read_text().replace("@hotline", "@hot&line"))
    done = program("run", "--config", config)
    assert done.returncode == 1
    assert "desks.12345.dial" in done.stderr
    assert list((tmp_path / "var-lib-bridge110").iterdir()) == []


def test_token_is_shown_once_and_kept_as_its_hash(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    answer = run("token", "new", "--role", "T", "--seat", "8001", "--config", config)
    word = answer.out.strip()
    [kept] = read_tokens(load(config).http.tokens_file)
    assert (kept.role, kept.seat, kept.sha256) == ("T", "8001", digest(word))
    listed = run("token", "list", "--config", config).out
    assert kept.name in listed
    assert word not in listed
    assert digest(word) not in listed


@pytest.mark.parametrize("more", [["--role", "T"], ["--role", "T", "--seat", "8031"]])
def test_call_taker_needs_a_seat_that_is_there(tmp_path: Path, more: list[str]) -> None:
    config = make_config(tmp_path)
    with pytest.raises(CommandError, match=r"seats\.ids"):
        run("token", "new", *more, "--config", config)
    assert read_tokens(load(config).http.tokens_file) == []


class Daemon(http.server.BaseHTTPRequestHandler):
    """Answers as the daemon does; the snapshot needs the token."""

    health: ClassVar[dict[str, object]] = {"status": "ok", "ami": {"state": "up"}}

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == "Bearer good"
        public = self.path == "/api/v1/health"
        seats = [{"seat": "8001", "state": "ready"}, {"seat": "8002", "state": "ready"}]
        body = self.health if public else {"calls": [], "seats": seats}
        self.send_response(200 if known or public else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Daemon)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_status_shows_health_calls_and_seats(url: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("good\n")
    answer = run("status", "--url", url, "--token-file", token)
    assert answer.status == 0
    assert "ami.state: up" in answer.out
    assert "坐席 / seats: 2 (ready 2)" in answer.out
    document = json.loads(run("status", "--json", "--url", url, "--token-file", token).out)
    assert document["health"] == Daemon.health


def test_status_tells_a_wrong_token_and_a_daemon_that_is_away(url: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("bad")
    with pytest.raises(CommandError, match="token new"):
        run("status", "--url", url, "--token-file", token)
    with pytest.raises(CommandError, match="systemctl status"):
        run("status", "--url", "http://127.0.0.1:1")
    with pytest.raises(CommandError, match="no http address"):
        run("status", "--url", "file:///etc/passwd")


def test_host_name_that_nobody_knows_is_told_with_the_line_to_add() -> None:
    found = host_name("bridge110-no-such-host.invalid")
    assert found.good is False
    assert "/etc/hosts" in found.mend
    assert host_name("localhost").good is True


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("22.10.1~dfsg+~cs6.15.60671435-1", (22, 10, 1)),
        ("Asterisk 22.9", (22, 9, 0)),
        ("", None),
    ],
)
def test_version_of_asterisk_is_read(said: str, version: tuple[int, ...] | None) -> None:
    assert version_of(said) == version


def test_plan_that_travels_with_the_code_has_the_contexts_of_the_call() -> None:
    assert shipped_contexts() >= {"police110", "citizen-queue", "leg-accepts", "three-way"}


def test_endpoint_that_would_lose_or_move_a_citizen_is_told(tmp_path: Path) -> None:
    file = tmp_path / "pjsip.conf"
    file.write_text("[8001]\ntype=endpoint\nallow=ulaw,alaw\nrtp_timeout=0\n")
    section = read_conf(file).section("8001")
    assert section is not None
    faults = endpoint_faults(section)
    assert [fault.split(" ")[0] for fault in faults] == [
        "rtp_timeout",
        "allow_transfer",
        "allow",
        "direct_media",
    ]
    shipped = read_conf(share("config") / "asterisk" / "pjsip.conf", examples=True)
    seats = [s for s in shipped.sections if s.name == "8001" and s.get("type") == "endpoint"]
    assert [endpoint_faults(seat) for seat in seats] == [[]]


def test_check_names_what_is_wrong_and_goes_on(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    done = program("check", "--json", "--config", config)
    found = {one["name"]: one["good"] for one in json.loads(done.stdout)["found"]}
    assert done.returncode == 1
    assert found["settings"] is True
    assert found["sounds"] is False
    assert found["AMI secret"] is False
    assert found["AMI"] is None
    assert "sounds" in done.stderr


def test_check_names_every_secret_that_is_missing(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    with config.open("a", encoding="utf-8") as file:
        file.write(MAIL)
    credentials = config.parent / "credentials"
    credentials.mkdir()
    key = credentials / "mail-link-key"
    key.write_text("k" * 40)
    key.chmod(0o600)
    done = program("check", "--json", "--config", str(config))
    found = {one["name"]: one["good"] for one in json.loads(done.stdout)["found"]}
    assert found["mail.link_key_file"] is True
    assert found["mail.secret_file"] is False
    assert found["mail.replies.secret_file"] is False
    assert found["platforms.12345.key_file"] is False
    assert found["papers"] is True
