"""The units say what systemd understands, and leave the daemon next to nothing of the machine."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.settings.file import load
from bridge.share import share

UNITS = share("systemd")
SERVICES = ("bridge110.service", "bridge110-standby.service")
EXPOSURE = 14
"""Tenths: 1.4 of 10 (guard.md section 6)."""


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((UNITS / name).read_text(encoding="utf-8"))
    return parser


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "SYSTEMD_PAGER": ""},
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with a program that is there, for nothing is installed on this machine."""
    for name in (*SERVICES, "bridge110.socket"):
        text = (UNITS / name).read_text(encoding="utf-8")
        text = text.replace("/opt/bridge110/bin/bridge110", shutil.which("true") or "/bin/true")
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_systemd_finds_nothing_to_say_about_the_units(installed: Path) -> None:
    done = analyze("verify", *(str(file) for file in sorted(installed.iterdir())))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_wrong_unit_would_be_found(installed: Path) -> None:
    """The test above can fail."""
    file = installed / "bridge110.service"
    file.write_text(file.read_text().replace("Type=notify", "Type=notifyy\nNoSuchKey=1"))
    done = analyze("verify", str(file))
    assert "NoSuchKey" in done.stderr


@pytest.mark.parametrize("added", ["", "MemoryDenyWriteExecute=no\nPrivateUsers=no"])
@pytest.mark.parametrize("name", SERVICES)
def test_exposure_is_at_most_1_4(installed: Path, name: str, added: str) -> None:
    file = installed / name
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("\n[Install]", f"\n{added}\nUser=root\n[Install]" if added else "\n[Install]")
    )
    done = analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", str(file))
    assert (done.returncode == 0) is (not added), done.stdout[-200:]


@pytest.mark.parametrize("name", SERVICES)
def test_secret_is_a_credential_and_nowhere_else(name: str) -> None:
    service = unit(name)["Service"]
    settings = load(share("config") / "bridge.toml", look_at_disk=False)
    assert service["LoadCredential"].partition(":")[0] == settings.ami.secret_file
    assert "Environment" not in service


def test_socket_listens_where_the_shipped_settings_say() -> None:
    http = load(share("config") / "bridge.toml", look_at_disk=False).http
    assert unit("bridge110.socket")["Socket"]["ListenStream"] == f"{http.host}:{http.port}"


def test_places_of_the_settings_are_made_by_tmpfiles() -> None:
    settings = load(share("config") / "bridge.toml", look_at_disk=False)
    lines = (UNITS / "bridge110.tmpfiles.conf").read_text(encoding="utf-8").splitlines()
    made = {line.split()[1] for line in lines if line.startswith("d ")}
    places = {
        settings.http.tokens_file.parent,
        settings.store.path.parent,
        settings.asterisk.recordings,
        settings.asterisk.cel_file.parent,
    }
    assert {str(place) for place in places} <= made


@pytest.mark.parametrize("program", ["sysusers", "tmpfiles"])
def test_account_and_directories_are_understood(tmp_path: Path, program: str) -> None:
    """Made for real below an empty root."""
    (tmp_path / "etc").mkdir()
    if program == "tmpfiles":
        # Asterisk's own package makes its account
        (tmp_path / "etc/passwd").write_text("asterisk:x:950:950::/:/usr/sbin/nologin\n")
        (tmp_path / "etc/group").write_text("asterisk:x:950:\n")
        _run("sysusers", tmp_path)
    _run(program, tmp_path)
    if program == "sysusers":
        users = (tmp_path / "etc/passwd").read_text()
        groups = (tmp_path / "etc/group").read_text()
        assert "bridge110:" in users
        assert any(line.startswith("asterisk:") and "bridge110" in line for line in groups.split())
    else:
        mode = (tmp_path / "etc/bridge110/credentials").stat().st_mode
        assert mode & 0o777 == 0o700


def _run(program: str, root: Path) -> None:
    create = ["--create"] if program == "tmpfiles" else []
    done = subprocess.run(
        [f"systemd-{program}", *create, f"--root={root}", str(UNITS / f"bridge110.{program}.conf")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_watchdog_and_restart_are_those_of_the_promise(name: str) -> None:
    service = unit(name)["Service"]
    wanted = {"Type": "notify", "Restart": "always", "RestartSec": "250ms", "WatchdogSec": "10"}
    assert {key: service[key] for key in wanted} == wanted
    assert service["LimitCORE"] == "0"
