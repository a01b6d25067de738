"""`bridge110 check`: everything that must be right before the daemon takes calls."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bridge.asterisk.conf_text import ConfError
from bridge.cli.check_files import files, shipped_contexts
from bridge.cli.check_live import live
from bridge.cli.check_machine import machine
from bridge.cli.check_result import Found, bad, good, unseen, words
from bridge.cli.output import AsJson, CommandError, Config, emit, run_async, settings_of
from bridge.settings.model import CREDENTIALS_VARIABLE, DEFAULT_CONFIG, Settings, SettingsError


def check(config: Config = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """检查本机、Asterisk 与配置 / look at this machine, Asterisk and the settings."""
    found = [good("settings", str(config))]
    settings: Settings | None
    try:
        settings = settings_of(config, look_at_disk=True)
    except SettingsError as error:
        found = [bad("settings", str(error), "更正所列各行 / correct these lines")]
        settings = _without_disk(config)
    secrets = {CREDENTIALS_VARIABLE: str(config.parent / "credentials"), **os.environ}
    if settings is not None:
        found += [*machine(settings, secrets), *files(settings), *_live(settings, secrets)]
    emit(as_json, {"found": [one.as_json() for one in found]}, words(found))
    wrong = [one.name for one in found if one.good is False]
    if wrong:
        raise CommandError(f"{config}: 有问题 / wrong: {', '.join(wrong)}")


def _without_disk(config: Config) -> Settings | None:
    """The rest can be looked at where only directories are missing."""
    try:
        return settings_of(config)
    except SettingsError:
        return None


def _live(settings: Settings, secrets: Mapping[str, str]) -> list[Found]:
    try:
        return run_async(live(settings, settings.ami.secret(secrets), shipped_contexts()))
    except SettingsError:
        return [unseen("AMI", "没有口令,未能登录 / not tried without the secret")]
    except ConfError as error:
        return [bad("AMI", str(error), "重新安装 bridge110 / install bridge110 again")]
