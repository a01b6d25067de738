"""Files beside the journal: by their content, whole or told, and never the end of the disk."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from bridge.domain.attachment import kind_of
from bridge.flows.ports import FileMissing, StoreError, StoreFull
from bridge.store.files import Files, look_at

JPEG = b"\xff\xd8\xff\xe0 a picture"


async def test_a_file_is_kept_by_its_hash_and_the_same_again_is_the_same(tmp_path: Path) -> None:
    files = Files(tmp_path / "files")
    name = await files.keep(JPEG, "jpg")
    assert name == f"{hashlib.sha256(JPEG).hexdigest()}.jpg"
    assert await files.keep(JPEG, "jpg") == name
    assert await Files(tmp_path / "files").read(name) == JPEG
    place = tmp_path / "files" / name
    assert [one.name for one in place.parent.iterdir()] == [name]
    assert place.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("spoil", ["gone", "altered", "cut"])
async def test_what_is_not_what_it_was_is_told_and_can_be_put_back(
    tmp_path: Path, spoil: str
) -> None:
    files = Files(tmp_path / "files")
    name = await files.keep(JPEG, "jpg")
    place = tmp_path / "files" / name
    if spoil == "gone":
        place.unlink()
    else:
        place.write_bytes(JPEG[:-1] if spoil == "cut" else JPEG.replace(b"a", b"b"))
    with pytest.raises(FileMissing):
        await files.read(name)
    found = look_at(tmp_path / "files", [name, name])
    assert (found.missing, found.damaged) == (([name], []) if spoil == "gone" else ([], [name]))
    await files.keep(JPEG, "jpg")
    assert await files.read(name) == JPEG


@pytest.mark.parametrize("name", ["../site.db", "/etc/passwd", "", ".", "x" * 64 + ".jpg"])
async def test_no_other_name_is_ever_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "site.db").write_text("secret")
    with pytest.raises(FileMissing):
        await Files(tmp_path / "files").read(name)


async def test_pictures_never_take_the_last_of_the_disk(tmp_path: Path) -> None:
    files = Files(tmp_path / "files", free_bytes=10**15)
    with pytest.raises(StoreFull):
        await files.keep(JPEG, "jpg")


async def test_a_directory_that_cannot_be_written_is_a_store_that_fails(tmp_path: Path) -> None:
    files = Files(tmp_path / "files")
    (tmp_path / "files").rmdir()
    (tmp_path / "files").write_text("a file")
    with pytest.raises(StoreError):
        await files.keep(JPEG, "jpg")


def test_what_a_kill_left_half_written_goes_at_the_next_start(tmp_path: Path) -> None:
    Files(tmp_path / "files")
    half = tmp_path / "files" / f".{'0' * 64}.jpg.abcd.new"
    half.write_bytes(b"half")
    Files(tmp_path / "files")
    assert os.listdir(tmp_path / "files") == []


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (JPEG, "jpg"),
        (b"\x89PNG\r\n\x1a\n....", "png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp"),
        (b"%PDF-1.7\n", "pdf"),
        (b"<html><script>alert(1)</script>", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", None),
        (b"GIF89a", None),
        (b"MZ\x90\x00", None),
        (b" %PDF-1.7", None),
        (b"", None),
    ],
)
def test_what_a_file_is_its_content_says(data: bytes, kind: str | None) -> None:
    assert kind_of(data) == kind
