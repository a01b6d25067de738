"""A silent name server is told, with the line to add; a quick answer, even a no, is well."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.lab.hostname import host_name_trouble


@pytest.mark.parametrize(
    ("resolver", "told"),
    [("exit 0", None), ("exit 2", None), ("exec sleep 30", "'127.0.1.1 desk' to /etc/hosts")],
)
def test_only_a_slow_look_up_is_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolver: str, told: str | None
) -> None:
    getent = tmp_path / "getent"
    getent.write_text(f"#!/bin/sh\n{resolver}\n")
    getent.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    trouble = host_name_trouble("desk", limit_s=0.3)
    assert (trouble is None) == (told is None)
    assert trouble is None or str(told) in trouble
