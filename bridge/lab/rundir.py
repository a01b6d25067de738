"""The run directory of a laboratory's Asterisk: its places, and the configuration written there."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.lab.progress import SetupError
from bridge.lab.root import AsteriskRoot
from bridge.lab.site import LabSite, asterisk_conf, globals_file, site_files
from bridge.share import share

MAX_SOCKET_PATH: Final = 107
"""Longest path of a Unix socket (sun_path of unix(7), less its end)."""
LEFT_OUT: Final = ("site.example", "README.md")


@dataclass(frozen=True, slots=True)
class RunDir:
    """The places below one run directory, as the host and Asterisk both see them."""

    path: Path

    @property
    def etc(self) -> Path:
        return self.path / "etc"

    @property
    def recordings(self) -> Path:
        """Where MixMonitor puts the tracks."""
        return self.path / "spool" / "monitor"

    @property
    def fax(self) -> Path:
        """Documents that go out by fax over the switch, and those that came in."""
        return self.path / "spool" / "fax"

    @property
    def cel_file(self) -> Path:
        """Channel event log; absent before the first event."""
        return self.path / "log" / "cel-custom" / "bridge110.csv"

    @property
    def log_file(self) -> Path:
        """Asterisk's own messages."""
        return self.path / "log" / "messages"

    @property
    def output_file(self) -> Path:
        """What Asterisk wrote to its standard output and error."""
        return self.path / "log" / "output"

    @property
    def sounds(self) -> Path:
        return self.path / "data" / "sounds"


def write_configuration(run: RunDir, site: LabSite, root: AsteriskRoot) -> None:
    """Write the configuration into the run directory; recordings and databases there stay.

    Raises SetupError when the directory's name is too long for Asterisk's control socket.
    """
    control = run.path / "run" / "asterisk.ctl"
    if len(os.fsencode(control)) > MAX_SOCKET_PATH:
        raise SetupError(f"{run.path}: too long a name, {control.name} needs a shorter one")
    for name in (
        *("lib/keys", "cache", "run", "log/cel-custom"),
        *("spool/monitor", "spool/tmp", "spool/fax/in", "spool/fax/out"),
    ):
        (run.path / name).mkdir(parents=True, exist_ok=True)
    config = share("config") / "asterisk"
    ignore = shutil.ignore_patterns(*LEFT_OUT)
    shutil.copytree(config, run.etc, ignore=ignore, dirs_exist_ok=True)
    shutil.copytree(share("dialplans"), run.etc / "dialplans", dirs_exist_ok=True)
    example = config / "site.example"
    files = site_files(site)
    text = (example / "globals.conf").read_text(encoding="utf-8")
    files["globals.conf"] = globals_file(text, site.ports)
    for source in example.glob("*.conf"):
        if source.name != "asterisk.conf":
            files.setdefault(source.name, source.read_text(encoding="utf-8"))
    (run.etc / "site").mkdir(exist_ok=True)
    for name, content in files.items():
        _write_private(run.etc / "site" / name, content)
    own = asterisk_conf(run.path, root.module_dir)
    (run.etc / "asterisk.conf").write_text(own, encoding="utf-8")
    _link_data(run, root)


def _link_data(run: RunDir, root: AsteriskRoot) -> None:
    """Asterisk's own data beside our sounds: links to what belongs to the package."""
    data = run.path / "data"
    run.sounds.mkdir(parents=True, exist_ok=True)
    links = {
        data / place.name: place for place in root.data_dir.glob("*") if place.name != "sounds"
    }
    english = sorted((root.data_dir / "sounds").glob("en*"))
    if english:
        links[run.sounds / "en"] = english[0]
    for link, place in links.items():
        if not link.is_symlink():
            link.symlink_to(place)


def _write_private(file: Path, content: str) -> None:
    """Site files hold secrets: for their owner alone, from the first byte."""
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(content)
