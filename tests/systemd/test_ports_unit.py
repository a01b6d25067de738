"""The unit of the port process and the udev rules that name its ports."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from bridge.cli.ports import GATEWAYS, SOCKET, STATE
from bridge.share import share
from hardware.fax.uucp_lock import DIRECTORY

UNITS = share("systemd")
EXPOSURE = 8
"""Tenths: 0.8 of 10."""


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "SYSTEMD_PAGER": ""},
    )


def installed(tmp_path: Path) -> Path:
    text = (UNITS / "bridge110-ports.service").read_text(encoding="utf-8")
    file = tmp_path / "bridge110-ports.service"
    file.write_text(
        text.replace("/opt/bridge110/bin/bridge110", shutil.which("true") or "/bin/true")
    )
    return file


def test_systemd_finds_nothing_to_say_and_exposure_is_at_most_0_8(tmp_path: Path) -> None:
    file = installed(tmp_path)
    done = analyze("verify", str(file))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    judged = analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", str(file))
    assert judged.returncode == 0, judged.stdout[-200:]


def test_the_unit_starts_the_command_with_its_own_defaults() -> None:
    text = (UNITS / "bridge110-ports.service").read_text(encoding="utf-8")
    for option, path in (("gateways", GATEWAYS), ("state", STATE), ("socket", SOCKET)):
        assert f"--{option} {path}" in text


def test_the_lock_files_of_serial_lines_can_be_made() -> None:
    text = (UNITS / "bridge110-ports.service").read_text(encoding="utf-8")
    place = str(DIRECTORY).replace("/var/", "/run/")  # Debian's symlink
    assert f"ReadWritePaths=-{place}" in text.splitlines()


def test_udev_rules_name_ports_by_their_plug_and_open_them_to_no_one_else() -> None:
    lines = (UNITS / "bridge110.udev.rules").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules
    term = re.compile(r'[A-Z_]+(\{[A-Za-z_/]+\})?(==|=|\+=)"[^"]*"')
    for rule in rules:
        assert all(term.fullmatch(part.strip()) for part in rule.split(","))
        if "MODE" in rule:
            assert 'MODE="0660"' in rule
            assert 'GROUP="dialout"' in rule
