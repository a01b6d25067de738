"""The private Asterisk root: made once, reused, made again when broken, by one builder at a time.

Debian's mmdebstrap is stood in for by a program that links the real root's files, so nothing
is downloaded; everything else is the real thing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.lab.packages import find_program
from bridge.lab.progress import SetupError
from bridge.lab.root import STAMP, AsteriskRoot, check_root, parse_version, root_path, system_root
from bridge.lab.rootbuild import ensure_private_root, ensure_root

COPY = """#!/bin/sh
for word; do case "$word" in *.building-*) target=$word;; esac; done
echo "$target" >> "$LOG"
mkdir -p "$target/usr/lib"
[ -z "$FAIL" ] || { echo "E: $FAIL" >&2; exit 1; }
cp -al "$ORIGINAL"/usr/lib/*-linux-gnu* "$target/usr/lib/"
for part in usr/sbin/asterisk usr/bin/sipp usr/bin/baresip; do
    mkdir -p "$target/${part%/*}" && cp -al "$ORIGINAL/$part" "$target/$part"
done
"""


@dataclass(frozen=True)
class Workshop:
    """A cache of its own, and what its mmdebstrap was asked for."""

    path: Path

    def builds(self) -> int:
        log = self.path / "log"
        return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Workshop]:
    original = ensure_private_root().path
    assert original is not None
    # beside the real cache: hard links do not cross file systems
    path = original.parent / f"test-{os.getpid()}-{request.node.name[:40]}"
    programs = path / "bin"
    programs.mkdir(parents=True)
    tool = programs / "mmdebstrap"
    tool.write_text(COPY)
    tool.chmod(0o755)
    monkeypatch.setenv("BRIDGE110_CACHE", str(path / "cache"))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(path / "log"))
    monkeypatch.setenv("ORIGINAL", str(original))
    yield Workshop(path)
    shutil.rmtree(path)


def test_it_is_made_once_and_then_reused(workshop: Workshop) -> None:
    first = ensure_private_root()
    assert first == ensure_private_root()
    assert workshop.builds() == 1
    assert first.path == root_path()
    assert parse_version(f"Asterisk {first.version}") is not None


def test_nothing_but_the_root_and_its_lock_is_left_beside_it(workshop: Workshop) -> None:
    ensure_private_root()
    assert sorted(p.name for p in root_path().parent.iterdir()) == [
        root_path().name,
        root_path().name + ".lock",
    ]


@pytest.mark.parametrize(
    "damage", ["stamp", "half a stamp", "module", "asterisk", "sipp", "sipp is rubbish", "loader"]
)
def test_a_broken_one_is_noticed_and_made_again(workshop: Workshop, damage: str) -> None:
    whole = root_path()
    ensure_private_root()
    hurt = {
        "stamp": STAMP,
        "half a stamp": STAMP,
        "module": "usr/lib/*/asterisk/modules/chan_pjsip.so",
        "asterisk": "usr/sbin/asterisk",
        "sipp": "usr/bin/sipp",
        "sipp is rubbish": "usr/bin/sipp",
        "loader": "usr/lib/*/ld-linux*",
    }[damage]
    for file in list(whole.glob(hurt)):
        file.unlink()
    if damage == "half a stamp":
        (whole / STAMP).write_text('{"version"')
    if damage == "sipp is rubbish":
        (whole / "usr/bin/sipp").write_text("rubbish")
    found, why = check_root(whole)
    assert found is None
    assert why
    again = ensure_private_root()
    assert check_root(whole) == (again, "")
    assert workshop.builds() == 2


def test_what_a_killed_builder_left_is_removed(workshop: Workshop) -> None:
    left = root_path().with_name(root_path().name + ".building-1")
    (left / "usr").mkdir(parents=True)
    ensure_private_root()
    assert not left.exists()


def test_a_failing_mirror_is_named_with_the_last_words_and_nothing_is_left(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "no such suite")
    with pytest.raises(SetupError, match="no such suite") as raised:
        ensure_private_root()
    assert "http" in str(raised.value)
    assert not root_path().exists()
    assert not list(root_path().parent.glob("*.building-*"))


async def test_two_builders_at_once_build_once(workshop: Workshop) -> None:
    def builder() -> asyncio.Future[asyncio.subprocess.Process]:
        code = "from bridge.lab.rootbuild import ensure_private_root as make; make()"
        command = [sys.executable, "-c", code]
        return asyncio.ensure_future(asyncio.create_subprocess_exec(*command))

    running = await asyncio.gather(builder(), builder(), builder())
    async with asyncio.timeout(60):
        results = await asyncio.gather(*(process.wait() for process in running))
    assert results == [0, 0, 0]
    assert workshop.builds() == 1


@pytest.mark.parametrize(
    ("banner", "own"),
    [
        ("Asterisk 22.10.1", True),
        ("Asterisk 23.0.0~rc1", True),
        ("Asterisk 22.9.9+dfsg", False),
        ("Asterisk 20.99.0", False),
        ("Asterisk certified-22.11-cert1", False),
        ("", False),
    ],
)
def test_the_systems_own_is_used_from_22_10_1_on(
    workshop: Workshop, banner: str, own: bool
) -> None:
    for name in ("asterisk", "sipp", "baresip"):
        program = workshop.path / "bin" / name
        program.write_text(f"#!/bin/sh\necho '{banner}'\n")
        program.chmod(0o755)
    root = system_root()
    assert (root is not None) == own
    if root is not None:
        assert root == ensure_root()
        assert root.command("asterisk", "-f") == [find_program("asterisk"), "-f"]
    assert workshop.builds() == 0


def test_a_program_that_is_not_there_is_an_error_by_name(asterisk_root: AsteriskRoot) -> None:
    with pytest.raises(FileNotFoundError, match="nothing-such"):
        asterisk_root.command("nothing-such")
