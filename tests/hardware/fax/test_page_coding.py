"""T.4 and T.6 against libtiff, golden codes, and damage."""

from __future__ import annotations

import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hardware.fax.bits import REVERSED, to_bits, to_octets
from hardware.fax.page import (
    MAX_LINES,
    MAX_PAGES,
    WIDTH,
    Page,
    PageError,
    page_of_image,
    page_of_lines,
    read_tiff,
    write_tiff,
)
from hardware.fax.run_codes import BLACK, WHITE
from hardware.fax.t4 import (
    EOFB,
    EOL,
    BadCode,
    Line,
    T4Decoder,
    changes_of,
    code_lines,
    decode_t6,
    decode_t6_part,
    encode_1d,
    encode_2d,
    encode_t6,
    join_t4,
    row_of,
)
from hardware.fax.t30_frames import Coding
from tests.hardware.fax.pages import noisy_page, plain_page, text_page

LINES = st.lists(
    st.one_of(
        st.just([]),
        st.lists(st.integers(0, WIDTH - 1), max_size=40, unique=True).map(sorted),
        st.integers(1, 400).map(lambda n: list(range(n, n + 60))),
    ),
    min_size=1,
    max_size=12,
)


def related(lines: list[Line]) -> list[Line]:
    """Each line followed by one that is nearly the same, for the modes of two dimensions."""
    shifted = [sorted({min(x + n % 4, WIDTH - 1) for n, x in enumerate(line)}) for line in lines]
    return [line for pair in zip(lines, shifted, strict=True) for line in pair]


def test_run_codes_are_complete_and_no_code_begins_another() -> None:
    for codes in (WHITE, BLACK):
        assert sorted(codes) == [*range(64), *range(64, 2561, 64)]
        texts = sorted(codes.values())
        assert all(not b.startswith(a) for a, b in itertools.pairwise(texts))


def test_golden_lines() -> None:
    assert encode_1d([], WIDTH) == "010011011" + "00110101"
    assert encode_1d([0], WIDTH) == "00110101" + "0000001100101" + "0000110111"
    assert encode_1d([4, 7], WIDTH) == "1011" + "10" + "011000" + "01011010"
    assert encode_2d([], [], WIDTH) == "1"
    assert encode_2d([100, 200], [101, 198], WIDTH) == "011" + "000010" + "1"
    assert encode_2d([100, 200], [], WIDTH) == "0001" + "1"
    assert encode_2d([], [10, 30], WIDTH) == "001" + WHITE[10] + BLACK[20] + "1"
    assert to_bits(encode_t6([[]], WIDTH)).rstrip("0") == "1" + EOFB


@given(LINES)
def test_every_coding_comes_back(lines: list[Line]) -> None:
    lines = related(lines)
    assert [changes_of(row_of(line, WIDTH)) for line in lines] == lines
    assert decode_t6(encode_t6(lines, WIDTH), WIDTH, 1000) == lines
    for k in (0, 2, 4):
        octets = join_t4(code_lines(lines, WIDTH, k), 288, two_dimensional=k > 0)
        decoder = T4Decoder(WIDTH, k > 0, 1000)
        for at in range(0, len(octets), 7):
            decoder.feed(octets[at : at + 7])
        assert (decoder.lines, decoder.bad_lines, decoder.ended) == (lines, 0, True)


@settings(max_examples=40, deadline=None)
@given(LINES)
def test_t6_is_bit_for_bit_libtiffs(lines: list[Line]) -> None:
    page = page_of_lines(related(lines), WIDTH, fine=True)
    assert page.coded(Coding.MMR) == encode_t6(page.lines(), WIDTH)


def test_t4_is_read_by_libtiff_and_libtiffs_by_us() -> None:
    page = text_page()
    held = io.BytesIO()
    page.image().save(held, "TIFF", compression="group3", strip_size=1 << 24)
    with Image.open(held) as tiff:
        offset, count = tiff.tag_v2[273][0], tiff.tag_v2[279][0]  # type: ignore[attr-defined]
    strip = held.getvalue()[offset : offset + count].translate(REVERSED)
    decoder = T4Decoder(WIDTH, two_dimensional=False, max_lines=MAX_LINES)
    decoder.feed(strip + to_octets(EOL))  # libtiff writes no RTC
    assert decoder.bad_lines == 0
    found = page_of_lines(decoder.lines, WIDTH, fine=True)
    black = page.image().tobytes().translate(bytes(255 - n for n in range(256)))
    assert found.rows in (black, page.image().tobytes())  # min-is-black strips are inverted


def test_lines_are_filled_to_the_minimum_time() -> None:
    lines: list[Line] = [[], [5], []]
    octets = join_t4(code_lines(lines, WIDTH, 0), 288, two_dimensional=False)
    ends = to_bits(octets).split(EOL)[1:4]
    assert [len(bits) + len(EOL) for bits in ends[:2]] == [288, 288]


def test_a_damaged_line_becomes_the_line_above() -> None:
    page = noisy_page(1, 40)
    octets = bytearray(page.coded(Coding.MH))
    octets[len(octets) // 2] ^= 0x7E
    decoder = T4Decoder(WIDTH, two_dimensional=False, max_lines=100)
    decoder.feed(bytes(octets))
    bad = [n for n, line in enumerate(decoder.lines) if line != page.lines()[n]]
    assert len(decoder.lines) == 40
    assert 1 <= len(bad) <= 2
    assert decoder.bad_lines >= 1
    assert decoder.lines[bad[0]] == page.lines()[bad[0] - 1]


@given(st.binary(max_size=400), st.booleans())
def test_noise_is_no_page_and_no_error(noise: bytes, tagged: bool) -> None:
    decoder = T4Decoder(WIDTH, tagged, 50)
    decoder.feed(noise)
    assert len(decoder.lines) <= 50
    lines, _ = decode_t6_part(noise, WIDTH, 50)
    assert all(0 <= x < WIDTH for line in lines for x in line)


def test_t6_without_its_end_is_refused() -> None:
    with pytest.raises(BadCode):
        decode_t6(b"\xff" * 10, WIDTH, 1000)


def test_a_tiff_of_ours_is_what_it_was_and_says_so() -> None:
    pages = (text_page(1, 900), plain_page(2, 1143, fine=False), text_page(3, 200))
    file = write_tiff(pages)
    assert read_tiff(io.BytesIO(file)) == pages
    with Image.open(io.BytesIO(file)) as tiff:
        tags = tiff.tag_v2  # type: ignore[attr-defined]
        assert (tags[259], tags[262], tags[266]) == (4, 0, 2)
        assert [round(v) for v in tiff.info["dpi"]] == [204, 196]


@pytest.mark.parametrize("spoil", ["cut", "garbage", "empty"])
def test_a_damaged_tiff_is_refused(spoil: str) -> None:
    file = write_tiff([text_page(1, 900)])
    broken = {"cut": file[:300], "garbage": file[:8] + b"\xff" * 400, "empty": b""}[spoil]
    with pytest.raises(PageError):
        read_tiff(io.BytesIO(broken))


def test_a_bomb_of_pages_and_of_lines_is_refused() -> None:
    with pytest.raises(PageError, match=str(MAX_PAGES)):
        read_tiff(io.BytesIO(write_tiff([plain_page(1, 8)] * (MAX_PAGES + 1))))
    huge = io.BytesIO()
    Image.new("1", (WIDTH, 60_000), 1).save(huge, "TIFF", compression="group4")
    with pytest.raises(PageError, match="60000"):
        read_tiff(huge)
    with pytest.raises(PageError):
        page_of_image(Image.new("1", (500, 500), 1))


def test_a_coarse_page_keeps_what_is_black() -> None:
    page = page_of_lines([[8, 16], [], [], [24, 32], [40]], WIDTH, fine=True)
    assert page.coarse() == page_of_lines([[8, 16], [24, 32], [40]], WIDTH, fine=False)


def test_nothing_is_no_page() -> None:
    with pytest.raises(PageError):
        write_tiff([])
    assert Page(b"").height == 0
