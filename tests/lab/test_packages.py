"""What is missing is installed by root, and told with the exact line to anybody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.lab.packages import ensure_programs, find_program, install_line
from bridge.lab.progress import SetupError

PROBE = """
import os, sys
from bridge.lab.packages import ensure_programs
from bridge.lab.progress import SetupError
if os.geteuid() == 0:
    os.seteuid(65534)  # after the imports: the tree may be root's alone
try:
    ensure_programs({"bridge110-b": "pkg-b", "/no/such/file": "pkg-a", "sh": "dash"})
except SetupError as told:
    sys.exit(str(told))
"""


def test_without_root_the_line_to_type_names_exactly_what_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "sudo apt-get install --no-install-recommends pkg-a pkg-b\n" in done.stderr


def test_what_is_there_asks_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # not even apt-get could be found there
    tool = tmp_path / "bridge110-tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert find_program("bridge110-tool") == str(tool)
    ensure_programs({"bridge110-tool": "none", str(tool): "none"})
    assert install_line(["a", "b"]) == "sudo apt-get install --no-install-recommends a b"


def test_apt_that_fails_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        tell = "sudo apt-get install"
    else:
        tell = "E: Unable to locate"
        apt = tmp_path / "apt-get"
        apt.write_text("#!/bin/sh\necho 'E: Unable to locate package pkg-a'; exit 100\n")
        apt.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(SetupError, match=tell):
        ensure_programs({"bridge110-none": "pkg-a"})
