"""Pages as files: TIFF with T.6 data as a fax line carries it, and PDF.

The T.6 octets of each page are one strip in the line's own polarity and bit order, so that a
modem can take them as they are (fax sheet, section 10); any TIFF reader shows the same file.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageChops, ImageSequence

from bridge.documents.metric import X_DPI, Y_DPI

STRIP: Final = 1 << 24
"""Bytes of a strip: one strip a page. Strips of T.6 cannot be put together again."""

_SHORT, _LONG, _RATIONAL = 3, 4, 5
_SIZES: Final = {_SHORT: 2, _LONG: 4, _RATIONAL: 8}


def t6(page: Image.Image) -> bytes:
    """One page as T.6 octets, least significant bit first, black runs black, ending in EOFB."""
    out = io.BytesIO()
    ImageChops.invert(page).save(
        out, "TIFF", compression="group4", tiffinfo={266: 2}, strip_size=STRIP
    )
    with Image.open(out) as made:
        tags = getattr(made, "tag_v2")  # noqa: B009  Pillow's TIFF image alone has it
        (offset,), (length,) = tags[273], tags[279]
    return out.getvalue()[offset : offset + length]


def tiff(pages: Sequence[Image.Image]) -> bytes:
    """All pages as one TIFF file (class F: T.6, WhiteIsZero, 204 x 196)."""
    body = bytearray(struct.pack("<2sHI", b"II", 42, 0))
    link = 4
    for number, page in enumerate(pages):
        data = t6(page)
        at = len(body)
        body += data + bytes(len(data) % 2)
        struct.pack_into("<I", body, link, len(body))
        link = _directory(body, page, number, len(pages), at, len(data))
    return bytes(body)


def _directory(
    body: bytearray, page: Image.Image, number: int, pages: int, at: int, length: int
) -> int:
    """Append the page's directory; returns where the offset of the next one is to be written."""
    width, height = page.size
    fields: list[tuple[int, int, Sequence[int]]] = [
        (254, _LONG, [2]),  # a page of several
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [1]),
        (259, _SHORT, [4]),  # T.6
        (262, _SHORT, [0]),  # 0 is white
        (266, _SHORT, [2]),  # least significant bit first
        (273, _LONG, [at]),
        (277, _SHORT, [1]),
        (278, _LONG, [height]),
        (279, _LONG, [length]),
        (282, _RATIONAL, [X_DPI, 1]),
        (283, _RATIONAL, [Y_DPI, 1]),
        (293, _LONG, [0]),
        (296, _SHORT, [2]),  # inches
        (297, _SHORT, [number, pages]),
    ]
    extra = len(body) + 2 + 12 * len(fields) + 4
    tail = bytearray()
    body += struct.pack("<H", len(fields))
    for tag, kind, values in fields:
        code = "<" + {_SHORT: "H", _LONG: "I", _RATIONAL: "I"}[kind] * len(values)
        packed = struct.pack(code, *values)
        count = len(packed) // _SIZES[kind]
        if len(packed) > 4:
            packed, tail = struct.pack("<I", extra + len(tail)), tail + packed
        body += struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0")
    link = len(body)
    body += bytes(4) + tail
    return link


def pdf(pages: Sequence[Image.Image], title: str) -> bytes:
    """All pages as PDF, the same picture elements."""
    out = io.BytesIO()
    first, *rest = pages
    first.save(
        out,
        "PDF",
        save_all=True,
        append_images=rest,
        dpi=(X_DPI, Y_DPI),
        title=title,
        producer="bridge110",
    )
    return out.getvalue()


def png(page: Image.Image) -> bytes:
    """One picture as PNG, for screens."""
    out = io.BytesIO()
    page.save(out, "PNG", dpi=(X_DPI, Y_DPI), optimize=True)
    return out.getvalue()


def png_of(file: bytes) -> bytes:
    """The pages of a TIFF of ours below one another, as one PNG."""
    with Image.open(io.BytesIO(file), formats=["TIFF"]) as pages:
        frames = [frame.convert("1") for frame in ImageSequence.Iterator(pages)]
    width = max(frame.width for frame in frames)
    whole = Image.new("1", (width, sum(frame.height for frame in frames)), 255)
    y = 0
    for frame in frames:
        whole.paste(frame, (0, y))
        y += frame.height
    return png(whole)
