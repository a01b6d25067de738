"""Pages for the fax tests."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw

from bridge.documents.form import Tick
from hardware.fax.page import WIDTH, Page, page_of_image, page_of_lines
from hardware.fax.t4 import T4Decoder
from hardware.fax.t30_frames import Coding
from tests.documents.papers import noisy, ticked

A4_FINE = 2286


def plain_page(seed: int = 1, height: int = A4_FINE, fine: bool = True) -> Page:
    """A few lines that no other seed has, on white: quick to code, long enough on the line."""
    chance = random.Random(seed)
    marks = [sorted(chance.sample(range(1, WIDTH), 8)) for _ in range(min(12, height))]
    return page_of_lines(marks + [[]] * (height - len(marks)), WIDTH, fine)


def noisy_page(seed: int, height: int) -> Page:
    """Lines that no coding shortens: many octets from few lines."""
    chance = random.Random(seed)
    lines = [sorted(chance.sample(range(WIDTH), 300)) for _ in range(height)]
    return page_of_lines(lines, WIDTH, fine=True)


def text_page(seed: int = 1, height: int = A4_FINE, lines: int = 40) -> Page:
    """An order sheet's amount of text, drawn with Pillow's own font."""
    chance = random.Random(seed)
    image = Image.new("1", (WIDTH, height), 1)
    draw = ImageDraw.Draw(image)
    for number in range(lines):
        words = " ".join(
            "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=chance.randint(2, 9)))
            for _ in range(9)
        )
        draw.text((120, 60 + number * 52), words[:58], fill=0, font_size=40)
    return page_of_image(image)


def printed(octets: bytes) -> Page:
    """What the far machine prints."""
    decoder = T4Decoder(1728, two_dimensional=False, max_lines=5000)
    decoder.feed(octets + b"\0\0\x80")
    return page_of_lines(decoder.lines, 1728, fine=True)


def faxed_back(sheet: Image.Image, *ticks: Tick) -> bytes:
    """The sheet, ticked by hand, put into a fax machine askew and dirty."""
    askew = ticked(sheet, *ticks).convert("L").rotate(3.0, fillcolor=255)
    return page_of_image(noisy(askew.convert("1"), 0.002, random.Random(5))).coded(Coding.MH)
