"""Reads a received TIFF in a child process that can do nothing else (guard rule 25, S12).

The child has a bounded memory and time, opens nothing after the file has been read (so it has no
socket either), starts nothing, and looks at the size of a page before it decodes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image

from bridge.documents.returned import MAX_HEIGHT, MAX_WIDTH, Mark, Returned, Tick, read_page

SECONDS: Final = 20.0
MEMORY: Final = 512 * 1024 * 1024
MAX_FILE: Final = 32 * 1024 * 1024
MAX_PAGES: Final = 200
FAX_COMPRESSIONS: Final = frozenset({2, 3, 4})
"""TIFF tag 259: modified Huffman, T.4, T.6."""


class Unreadable(Exception):
    """The file is not looked at any further; the text says why. A person looks."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one page said."""

    number: int
    read: Returned


async def read_file(file: Path) -> Sequence[Page]:
    """All pages of a received fax. Raises Unreadable, also when the child takes too long or dies
    of its limits."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        __name__,
        str(file),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SECONDS):
            out, _ = await child.communicate()
    except TimeoutError as late:
        raise Unreadable(f"takes longer than {SECONDS:.0f} s") from late
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    try:
        said: Any = json.loads(out)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the reader ended with {child.returncode}") from error
    try:
        if "trouble" in said:
            raise Unreadable(str(said["trouble"]))
        return [_page(one) for one in said["pages"]]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable("the reader says what no reader says") from error


def _page(one: Any) -> Page:
    if not all(isinstance(one[name], str | None) for name in ("order", "code", "trouble")):
        raise ValueError("no text")
    marks = {Tick(tick): Mark(mark) for tick, mark in one["marks"].items()}
    ink = {Tick(tick): float(part) for tick, part in one["ink"].items()}
    return Page(one["page"], Returned(one["order"], one["code"], marks, ink, one["trouble"]))


def read_bytes(data: bytes) -> list[Page]:
    """The pages of a TIFF in memory. Raises Unreadable."""
    try:
        with Image.open(io.BytesIO(data), formats=["TIFF"]) as picture:
            return [*_pages(picture)]
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _pages(picture: Image.Image) -> list[Page]:
    found: list[Page] = []
    while True:
        number = len(found) + 1
        if number > MAX_PAGES:
            raise Unreadable(f"more than {MAX_PAGES} pages")
        tags: Any = getattr(picture, "tag_v2")  # noqa: B009  Pillow's TIFF image alone has it
        if tags.get(259) not in FAX_COMPRESSIONS or picture.mode != "1":
            raise Unreadable(f"page {number} is no fax page")
        if picture.width > MAX_WIDTH or picture.height > MAX_HEIGHT:
            raise Unreadable(f"page {number} has {picture.width} x {picture.height} elements")
        dpi = picture.info.get("dpi")
        found.append(Page(number, read_page(picture.convert("1"), dpi)))
        try:
            picture.seek(number)
        except EOFError:
            return found


def _confine() -> None:
    """From here on: no new file or socket, no new process, bounded memory and time."""
    seconds = int(SECONDS)
    for limit, value in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def main() -> None:
    """`python -m bridge.documents.limited FILE`: one JSON object on standard output."""
    Image.init()
    descriptor = os.open(sys.argv[1], os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_FILE + 1)
    _confine()
    try:
        if len(data) > MAX_FILE:
            raise Unreadable(f"larger than {MAX_FILE} bytes")
        pages = read_bytes(data)
    except Unreadable as reason:
        print(json.dumps({"trouble": str(reason)}))
        return
    print(
        json.dumps(
            {
                "pages": [
                    {
                        "page": page.number,
                        "order": page.read.order,
                        "code": page.read.code,
                        "marks": page.read.marks,
                        "ink": page.read.ink,
                        "trouble": page.read.trouble,
                    }
                    for page in pages
                ]
            }
        )
    )


if __name__ == "__main__":
    main()
