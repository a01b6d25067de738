"""`bridge110 check` against a real Asterisk: all is well, and each wrong thing is named."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli import app
from bridge.cli.check_files import shipped_contexts
from bridge.cli.check_live import live
from bridge.lab.settings_file import AMI_FILE, TOKENS_FILE, UNITS_FILE, lab_toml, lab_units
from bridge.lab.switch import Switch
from bridge.settings.file import load
from bridge.settings.model import Settings

ALL = frozenset(
    {"AMI", "Asterisk version", "AMI rights", "AMI events", "dialplan running"},
)


def written(switch: Switch) -> Path:
    """The laboratory's settings file beside its Asterisk, with units, secret and one token."""
    run = switch.run.path
    (run / AMI_FILE).write_text(switch.site.ami_secret)
    (run / AMI_FILE).chmod(0o600)
    config = run / "bridge.toml"
    config.write_text(lab_toml(switch.site.ports, run), encoding="utf-8")
    (run / UNITS_FILE).write_text(lab_units(), encoding="utf-8")
    if not (run / TOKENS_FILE).exists():
        made = CliRunner().invoke(app, ["token", "new", "--role", "E", "--config", str(config)])
        assert made.exit_code == 0, made.output
    return config


@pytest.fixture
def config(switch: Switch) -> Path:
    return written(switch)


@pytest.fixture
def settings(config: Path) -> Settings:
    return load(config)


async def test_laboratory_passes_every_point(config: Path) -> None:
    command = (sys.executable, "-m", "bridge", "check", "--json", "--config", str(config))
    asked = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await asked.communicate()
    found = json.loads(out)["found"]
    wrong = [one for one in found if one["good"] is not True]
    assert wrong == []
    assert (asked.returncode, err) == (0, b"")
    assert {one["name"] for one in found} >= ALL | {"modules", "seats", "HOTLINE_DIAL", "sounds"}


async def test_wrong_secret_is_named_and_nothing_else_is_tried(settings: Settings) -> None:
    found = await live(settings, "notthesecret", ())
    assert [(one.name, one.good) for one in found] == [("AMI", False)]
    assert "manager_account.conf" in found[0].mend


async def test_context_that_does_not_run_is_named(settings: Settings, switch: Switch) -> None:
    found = await live(settings, switch.site.ami_secret, [*shipped_contexts(), "not-there"])
    [plan] = [one for one in found if one.name == "dialplan running"]
    assert plan.good is False
    assert "not-there" in plan.what
    assert all(one.good for one in found if one is not plan)


async def test_asterisk_that_is_not_there_is_told_with_its_address(
    settings: Settings,
) -> None:
    ami = settings.ami.model_copy(update={"port": 1})
    found = await live(settings.model_copy(update={"ami": ami}), "secret", ())
    assert [one.good for one in found] == [False]
    assert "127.0.0.1:1" in found[0].what
