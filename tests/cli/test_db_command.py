"""`db backup` and `db restore`: the same head on an empty machine, every recording or its name."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest

from bridge.cli.output import CommandError
from bridge.domain.journal import Fact, Json
from bridge.settings.file import load
from bridge.store.files import Files, files_of
from tests.cli.cli_kit import BEGUN, CALL, CASE, facts, fill, make_config, run

FILES = {f"{CALL}-citizen-1.wav": b"citizen", f"{CALL}-seat-8001-2.wav": b"seat" * 100}
JOINED = f"{CALL}-joined.wav"


def closed() -> Fact:
    """The recording of the call as it was closed."""
    tracks: list[Json] = [
        {"file": name, "sha256": hashlib.sha256(content).hexdigest(), "repaired_file": None}
        for name, content in FILES.items()
    ]
    joined: Json = {"file": JOINED, "sha256": hashlib.sha256(b"joined").hexdigest()}
    data: dict[str, Json] = {"call": CALL, "tracks": tracks, "joined": joined}
    return Fact("recording.closed", BEGUN, CASE, CALL, CALL, "daemon", data)


async def machine(root: Path) -> tuple[Path, Path]:
    """Settings and recordings directory of a machine with one whole case."""
    root.mkdir(exist_ok=True)
    config = make_config(root)
    await fill(config, [*facts(), closed()])
    recordings = load(config).asterisk.recordings
    recordings.mkdir(parents=True, exist_ok=True)
    for name, content in {**FILES, JOINED: b"joined"}.items():
        (recordings / name).write_bytes(content)
    return config, recordings


async def test_a_backup_with_recordings_comes_back_whole_on_an_empty_machine(
    tmp_path: Path,
) -> None:
    config, _ = await machine(tmp_path / "old")
    copy = tmp_path / "copy.db"
    made = run("db", "backup", copy, "--recordings", "--config", config, "--json")
    assert made.status == 0
    told = json.loads(made.out)
    assert told["recordings"] == {"copied": 3, "missing": [], "damaged": []}

    (tmp_path / "new").mkdir()
    other = make_config(tmp_path / "new")
    back = run("db", "restore", copy, "--config", other, "--json")
    assert json.loads(back.out)["head"] == told["head"]
    assert json.loads(back.out)["recordings"]["copied"] == 3
    for name, content in FILES.items():
        assert (load(other).asterisk.recordings / name).read_bytes() == content
    verified = run("db", "verify", "--head", told["head"], "--config", other, "--json")
    assert json.loads(verified.out)["fault"] is None


@pytest.mark.parametrize("what", ["missing", "damaged"])
async def test_a_recording_that_is_gone_or_changed_is_named(tmp_path: Path, what: str) -> None:
    config, recordings = await machine(tmp_path / "old")
    name = next(iter(FILES))
    if what == "missing":
        (recordings / name).unlink()
    else:
        (recordings / name).write_bytes(b"something else")
    made = run("db", "backup", tmp_path / "copy.db", "--recordings", "--config", config, "--json")
    told = json.loads(made.out)["recordings"]
    assert told["copied"] == 2
    assert told[what] == [{"call": CALL, "file": name}]
    assert not (tmp_path / "copy.db.recordings" / name).exists()
    words = run("db", "restore", tmp_path / "copy.db", "--store", tmp_path / "x.db", "-c", config)
    assert words.status == 0


async def test_a_backup_without_recordings_names_every_one_as_missing(tmp_path: Path) -> None:
    config, _ = await machine(tmp_path / "old")
    made = run("db", "backup", tmp_path / "copy.db", "--config", config, "--json")
    assert len(json.loads(made.out)["recordings"]["missing"]) == 3


PICTURE = b"\xff\xd8\xff a picture"


async def with_picture(root: Path) -> tuple[Path, str]:
    """A machine whose journal names one attachment, which is there."""
    config, _ = await machine(root)
    database = load(config).store.path
    name = await Files(files_of(database)).keep(PICTURE, "jpg")
    await fill(
        config, [Fact("case.attached", BEGUN, CASE, None, CASE, "T", {"attachments": [name]})]
    )
    return config, name


async def test_attachments_come_back_with_a_backup(tmp_path: Path) -> None:
    config, name = await with_picture(tmp_path / "old")
    copy = tmp_path / "copy.db"
    made = run("db", "backup", copy, "--config", config, "--json")
    assert json.loads(made.out)["files"] == {"copied": 1, "missing": [], "damaged": []}
    (tmp_path / "new").mkdir()
    other = make_config(tmp_path / "new")
    run("db", "restore", copy, "--config", other)
    assert (files_of(load(other).store.path) / name).read_bytes() == PICTURE
    assert run("db", "verify", "--config", other).status == 0


@pytest.mark.parametrize("what", ["missing", "damaged"])
async def test_an_attachment_that_is_gone_or_changed_is_named_everywhere(
    tmp_path: Path, what: str
) -> None:
    config, name = await with_picture(tmp_path / "old")
    place = files_of(load(config).store.path) / name
    place.unlink() if what == "missing" else place.write_bytes(b"something else")
    with pytest.raises(CommandError, match=name):
        run("db", "verify", "--config", config)
    made = run("db", "backup", tmp_path / "copy.db", "--config", config, "--json")
    assert json.loads(made.out)["files"][what] == [name]
    answer = await asyncio.to_thread(run, "case", "export", CASE, "--config", config)
    exported = json.loads(answer.out)["files"]
    assert (exported["names"], exported[what]) == ([name], [name])
