"""A fax page: packed pels and their coding for the line. Whole pages go through libtiff (Pillow).

Limits here are what a page from outside may cost: a file of a few kilobytes can unpack to
gigabytes.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageSequence

from hardware.fax.bits import REVERSED
from hardware.fax.t4 import (
    K_FINE,
    K_STANDARD,
    BadCode,
    Line,
    changes_of,
    code_lines,
    join_t4,
    row_of,
)
from hardware.fax.t30_frames import Coding

WIDTH: Final = 1728
"""Pels of an A4 line at 204 dpi."""
WIDTHS: Final = (1728, 2048, 2432)
MAX_LINES: Final = 12_000
"""1.5 m of fine lines: a page longer than that is an attack or a stuck roller."""
MAX_PAGES: Final = 100
MAX_FILE_OCTETS: Final = 32 << 20
FINE_DPI: Final = (204.0, 196.0)
STANDARD_DPI: Final = (204.0, 98.0)

_INVERTED: Final = bytes(255 - octet for octet in range(256))
"""Pillow has 1 = white. Its own inversion counts on pels of 255, which not every image has."""
_TAGS: Final = {266: 2}
"""FillOrder 2: the bit first sent is the least significant."""


class PageError(ValueError):
    """The document cannot be sent as it is; the message names the mend."""


@dataclass(frozen=True, slots=True)
class Page:
    """Pels of one page: rows of `width` / 8 octets, first pel in the top bit, 1 = black."""

    rows: bytes
    width: int = WIDTH
    fine: bool = True
    """196 lines an inch rather than 98."""

    @property
    def height(self) -> int:
        """Number of scan lines."""
        return len(self.rows) // (self.width // 8)

    def row(self, number: int) -> bytes:
        """One packed row."""
        size = self.width // 8
        return self.rows[number * size : (number + 1) * size]

    def lines(self) -> list[Line]:
        """The changing elements of every line."""
        return [changes_of(self.row(number)) for number in range(self.height)]

    def image(self) -> Image.Image:
        """As Pillow has it: mode "1", white = 1, with the page's resolution."""
        pels = self.rows.translate(_INVERTED)
        shown = Image.frombytes("1", (self.width, self.height), pels)
        shown.info["dpi"] = FINE_DPI if self.fine else STANDARD_DPI
        return shown

    def coarse(self) -> Page:
        """For a receiver without fine resolution: each two lines become one, black prevails."""
        if not self.fine:
            return self
        size = self.width // 8
        whole = self.rows + bytes(size) * (self.height % 2)
        pairs = range(0, len(whole), 2 * size)
        rows = b"".join(
            _either(whole[at : at + size], whole[at + size : at + 2 * size]) for at in pairs
        )
        return Page(rows, self.width, fine=False)

    def coded(self, coding: Coding, min_line_bits: int = 0, *, rtc: bool = True) -> bytes:
        """Octets of the page for the line, bit first sent = LSB. `rtc`: with T.4's end of page."""
        if coding is Coding.MMR:
            return _libtiff_t6(self)
        two_dimensional = coding is Coding.MR
        k = (K_FINE if self.fine else K_STANDARD) if two_dimensional else 0
        coded = code_lines(self.lines(), self.width, k)
        return join_t4(coded, min_line_bits, two_dimensional, rtc=rtc)


def _either(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") | int.from_bytes(other, "big")).to_bytes(len(one), "big")


def page_of_lines(lines: Sequence[Line], width: int, fine: bool) -> Page:
    """A page from its changing elements."""
    return Page(b"".join(row_of(line, width) for line in lines), width, fine)


def page_of_image(image: Image.Image, fine: bool = True) -> Page:
    """A bi-level page of the line's width. Raises PageError when the image is not that."""
    if image.width not in WIDTHS or not 0 < image.height <= MAX_LINES:
        raise PageError(
            f"页面为 {image.width}x{image.height} 点，应为 1728 点宽、至多 {MAX_LINES} 行 / "
            f"page of {image.width}x{image.height} pels: 1728 wide, at most {MAX_LINES} lines"
        )
    plain = image if image.mode == "1" else image.convert("1", dither=Image.Dither.NONE)
    return Page(plain.tobytes().translate(_INVERTED), image.width, fine)


def read_tiff(file: Path | io.BytesIO) -> tuple[Page, ...]:
    """The pages of a TIFF. Raises PageError: damaged, empty, too large, too many pages."""
    size = file.stat().st_size if isinstance(file, Path) else len(file.getbuffer())
    if size > MAX_FILE_OCTETS:
        raise PageError(
            f"文件 {size} 字节，过大 / file of {size} octets: at most {MAX_FILE_OCTETS}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tags we do not use, of sizes judged below
            with Image.open(file, formats=["TIFF"]) as tiff:
                return tuple(_pages_of(tiff))
    except PageError:
        raise
    except (OSError, ValueError, SyntaxError, KeyError, TypeError, EOFError, struct.error,
            Image.DecompressionBombError) as broken:  # fmt: skip
        raise PageError(f"TIFF 文件已损坏 / damaged TIFF: {broken}") from broken


def _pages_of(tiff: Image.Image) -> Iterator[Page]:
    """The pages, each judged by its size before it is unpacked."""
    for number, frame in enumerate(ImageSequence.Iterator(tiff)):
        if number >= MAX_PAGES:
            raise PageError(f"超过 {MAX_PAGES} 页 / more than {MAX_PAGES} pages")
        lines_per_inch = float(frame.info.get("dpi", FINE_DPI)[1])
        yield page_of_image(frame, fine=lines_per_inch > 150)


def write_tiff(pages: Sequence[Page]) -> bytes:
    """A TIFF-F of the pages in T.6, one strip a page, as fax programs exchange it (RFC 2306).

    The directories are written here because Pillow cannot mark a page *min-is-white* without
    unpacking it pel by pel. Raises PageError when there is no page.
    """
    if not pages:
        raise PageError("没有页面 / no pages")
    file = bytearray(b"II*\0\0\0\0\0")
    link = 4  # where the offset of the next directory belongs
    for number, page in enumerate(pages):
        strip = page.coded(Coding.MMR)
        x_dpi, y_dpi = FINE_DPI if page.fine else STANDARD_DPI
        at = len(file)
        file += struct.pack("<4I", int(x_dpi), 1, int(y_dpi), 1) + strip + bytes(len(strip) % 2)
        directory = len(file)
        struct.pack_into("<I", file, link, directory)
        tags = (
            (254, 4, 1, 2),  # one page of several
            (256, 4, 1, page.width),
            (257, 4, 1, page.height),
            (258, 3, 1, 1),
            (259, 3, 1, 4),  # T.6
            (262, 3, 1, 0),  # 0 is white
            (266, 3, 1, 2),  # bit first sent = LSB
            (273, 4, 1, at + 16),
            (277, 3, 1, 1),
            (278, 4, 1, page.height),
            (279, 4, 1, len(strip)),
            (282, 5, 1, at),
            (283, 5, 1, at + 8),
            (293, 4, 1, 0),
            (296, 3, 1, 2),  # resolution in inches
            (297, 3, 2, number | len(pages) << 16),
        )
        file += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags)
        link = len(file)
        file += bytes(4)
    return bytes(file)


def _libtiff_t6(page: Page) -> bytes:
    """The one G4 strip libtiff makes of the page."""
    held = io.BytesIO()
    black = Image.frombytes("1", (page.width, page.height), page.rows)
    black.save(held, "TIFF", compression="group4", tiffinfo=_TAGS, strip_size=1 << 24)
    return _strip(held)


def _strip(held: io.BytesIO) -> bytes:
    with Image.open(held) as tiff:
        offsets, counts = tiff.tag_v2[273], tiff.tag_v2[279]  # type: ignore[attr-defined]
        order = tiff.tag_v2.get(266, 1)  # type: ignore[attr-defined]
    if len(offsets) != 1:
        raise BadCode(f"libtiff made {len(offsets)} strips of one page")
    octets = held.getvalue()[offsets[0] : offsets[0] + counts[0]]
    return octets if order == 2 else octets.translate(REVERSED)
