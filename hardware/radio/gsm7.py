"""The GSM 7-bit alphabet (3GPP TS 23.038, 6.2.1), packed and unpacked. Pure."""

from __future__ import annotations

from typing import Final

_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_ESCAPE: Final = 0x1B
_CODES: Final = {c: (code,) for code, c in enumerate(_BASIC) if code != _ESCAPE} | {
    c: (_ESCAPE, code) for code, c in _EXTENSION.items()
}


def septets(text: str) -> list[int] | None:
    """The codes of `text`, None where a character is not in the alphabet."""
    found: list[int] = []
    for character in text:
        codes = _CODES.get(character)
        if codes is None:
            return None
        found += codes
    return found


def pack(codes: list[int], offset: int = 0) -> bytes:
    """Eight characters in seven octets, lowest bit first; `offset` bits (0–6) stay free before."""
    value = 0
    for at, code in enumerate(codes):
        value |= code << (offset + 7 * at)
    return value.to_bytes((offset + 7 * len(codes) + 7) // 8, "little")


def unpack(data: bytes, count: int | None = None, offset: int = 0) -> list[int]:
    """`count` codes; without it as many as the octets hold, less a last 0 that only fills up."""
    value = int.from_bytes(data, "little") >> offset
    room = max(0, (len(data) * 8 - offset) // 7)
    codes = [value >> 7 * at & 0x7F for at in range(room if count is None else min(count, room))]
    if count is None and codes and len(codes) % 8 == 0 and codes[-1] == 0:
        codes.pop()
    return codes


def text_of(codes: list[int]) -> str:
    """The characters; an unknown extension is shown as its basic character (23.038, 6.2.1.1)."""
    out: list[str] = []
    escaped = False
    for code in codes:
        if escaped:
            out.append(_EXTENSION.get(code, _BASIC[code]))
            escaped = False
        elif code == _ESCAPE:
            escaped = True
        else:
            out.append(_BASIC[code])
    return "".join(out)
