"""Signed posts between two platforms: HMAC-SHA256 over id, timestamp and body. Pure.

Two keys are good while one is changed; a signature counts for five minutes by our clock.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
TOLERANCE_S: Final = 300
MIN_KEY: Final = 32
"""Bytes of a key."""
MAX_SIGNATURES: Final = 4
ID_FORM: Final = re.compile(r"[A-Za-z0-9._:-]{8,128}")


class SignatureError(Exception):
    """Not signed by the peer. What was wrong is not told to whoever sent it."""


class ClockError(SignatureError):
    """Signed by the peer, but at a time more than five minutes from ours: a clock is wrong."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A post whose signature is right."""

    id: str
    at: int
    """Seconds since 1970, by the peer's clock."""


def headers(key: bytes, identifier: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a post. Raises ValueError on a short key or an unusable id."""
    if len(key) < MIN_KEY or ID_FORM.fullmatch(identifier) is None:
        raise ValueError("a key has 32 bytes or more, an id 8 to 128 of A-Z a-z 0-9 . _ : -")
    stamp = str(int(at.timestamp()))
    return {
        "Webhook-Id": identifier,
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": f"v1,{_mac(key, identifier, stamp, body)}",
    }


def verify(found: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: datetime) -> Signed:
    """Whether one of `keys` signed this, lately. `found`: headers, names in small letters.

    Raises ClockError or SignatureError.
    """
    identifier, stamp = found.get(ID, ""), found.get(TIMESTAMP, "")
    if ID_FORM.fullmatch(identifier) is None or re.fullmatch(r"[0-9]{1,12}", stamp) is None:
        raise SignatureError("id or timestamp missing")
    given = [
        one.removeprefix("v1,")
        for one in found.get(SIGNATURE, "").split(" ")[:MAX_SIGNATURES]
        if one.startswith("v1,") and one.isascii()
    ]
    good = [
        hmac.compare_digest(_mac(key, identifier, stamp, body), one)
        for key in keys
        if len(key) >= MIN_KEY
        for one in given
    ]
    if not any(good):
        raise SignatureError("no signature of ours")
    if abs(int(stamp) - now.timestamp()) > TOLERANCE_S:
        raise ClockError(f"signed at {stamp}")
    return Signed(identifier, int(stamp))


def _mac(key: bytes, identifier: str, stamp: str, body: bytes) -> str:
    material = f"{identifier}.{stamp}.".encode() + body
    return base64.b64encode(hmac.new(key, material, hashlib.sha256).digest()).decode()
