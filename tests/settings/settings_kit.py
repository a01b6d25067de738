"""A good settings file to spoil, line by line."""

from __future__ import annotations

from pathlib import Path

from bridge.settings.file import parse
from bridge.settings.model import Settings
from bridge.share import share

SHIPPED = share("config") / "bridge.toml"
NAME = "bridge.toml"


def shipped() -> str:
    """The text of the shipped file."""
    return SHIPPED.read_text(encoding="utf-8")


def settings(text: str) -> Settings:
    """What `text` says, without a look at the disk. Raises SettingsError."""
    return parse(text.encode(), NAME)


def line_with(text: str, part: str) -> int:
    """Number of the one line that holds `part`."""
    [found] = [number for number, line in enumerate(text.split("\n"), 1) if part in line]
    return found


def make_places(root: Path, text: str) -> str:
    """The same settings with every path below `root`, whose directories are there."""
    for old in ("/etc/bridge110/", "/var/lib/bridge110/", "/var/log/asterisk/cel-custom/"):
        new = root / old.strip("/").replace("/", "-")
        new.mkdir(exist_ok=True)
        text = text.replace(f'"{old}', f'"{new}/')
    for old in ("/etc/asterisk", "/var/spool/asterisk/monitor", "/usr/share/asterisk/sounds"):
        new = root / old.strip("/").replace("/", "-")
        new.mkdir(exist_ok=True)
        text = text.replace(f'"{old}"', f'"{new}"')
    spoken = root / "spoken"
    return text.replace('"/var/spool/asterisk/spoken"', f'"{spoken}"')
