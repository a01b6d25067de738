"""Location information protocol, short location report (TS 100 392-18-1). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BITS: Final = 76
EMERGENCY: Final = 2
UNKNOWN_SPEED: Final = 127


@dataclass(frozen=True, slots=True)
class Position:
    """Where a radio is, WGS-84 degrees. `error_m` and `speed_kmh` are None where unknown."""

    latitude: float
    longitude: float
    error_m: int | None
    speed_kmh: float | None
    direction: float
    reason: int

    @property
    def emergency(self) -> bool:
        """Sent because the emergency button was pressed."""
        return self.reason == EMERGENCY


def decode_short(data: bytes) -> Position | None:
    """The report in the octets behind identifier 0A; None for another kind or too few bits."""
    if len(data) * 8 < BITS:
        return None
    bits = int.from_bytes(data[:10], "big") >> 4

    def take(above: int, width: int) -> int:
        return bits >> above & (1 << width) - 1

    if take(74, 2) != 0 or take(8, 1) != 0:
        return None
    error, speed = take(20, 3), take(13, 7)
    return Position(
        latitude=_signed(take(23, 24), 24) * 180 / 2**24,
        longitude=_signed(take(47, 25), 25) * 360 / 2**25,
        error_m=None if error == 7 else 2 * 10**error,
        speed_kmh=_speed(speed),
        direction=take(9, 4) * 22.5,
        reason=take(0, 8),
    )


def encode_short(position: Position) -> bytes:
    """Identifier 0A and the report, filled up to whole octets with zero bits."""
    error = 7 if position.error_m is None else len(str(position.error_m)) - 1
    speed = UNKNOWN_SPEED if position.speed_kmh is None else min(28, round(position.speed_kmh))
    values = (
        (0, 2),
        (0, 2),
        (round(position.longitude * 2**25 / 360) & 2**25 - 1, 25),
        (round(position.latitude * 2**24 / 180) & 2**24 - 1, 24),
        (error, 3),
        (speed, 7),
        (round(position.direction / 22.5) & 15, 4),
        (0, 1),
        (position.reason, 8),
    )
    bits = 0
    for value, width in values:
        bits = bits << width | value
    return b"\x0a" + (bits << 4).to_bytes(10, "big")


def _signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> width - 1 else value


def _speed(value: int) -> float | None:
    if value == UNKNOWN_SPEED:
        return None
    return float(value) if value <= 28 else 16 * 1.038 ** (value - 13)
