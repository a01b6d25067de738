"""The token of an acknowledgement link: says which attempt a person answers, signed, with an end.

The link's page acts on POST only (guard S16); a second POST finds the order signed already. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

MAX_TOKEN: Final = 600
"""Characters; ours have about 200."""
MIN_KEY: Final = 32
"""Bytes of a signing key."""
_PURPOSE: Final = b"bridge110 acknowledgement link 1\0"


class TokenError(ValueError):
    """Not a token of ours, or altered."""


class TokenExpired(TokenError):
    """It was ours; its time is over."""


@dataclass(frozen=True, slots=True)
class AckToken:
    """What a link stands for: bound to attempt, order and unit (guard S15)."""

    attempt: str
    order: str
    unit: str
    expires_at: datetime


def sign(token: AckToken, key: bytes) -> str:
    """The token as text for an address. Raises ValueError on a short key or too long a token."""
    if len(key) < MIN_KEY:
        raise ValueError(f"a signing key has at least {MIN_KEY} bytes")
    end = int(token.expires_at.timestamp())
    said = json.dumps([token.attempt, token.order, token.unit, end], ensure_ascii=True)
    body = said.encode("ascii")
    made = f"{_text(body)}.{_text(_mac(key, body))}"
    if len(made) > MAX_TOKEN:
        raise ValueError(f"attempt, order and unit make {len(made)} characters")
    return made


def check(text: str, keys: Sequence[bytes], now: datetime) -> AckToken:
    """What `text` stands for. Any of `keys` may have signed it. Raises TokenError."""
    if len(text) > MAX_TOKEN or not text.isascii():
        raise TokenError("no token")
    body_text, _, mac_text = text.partition(".")
    try:
        body, mac = _bytes(body_text), _bytes(mac_text)
    except (binascii.Error, ValueError) as error:
        raise TokenError("no token") from error
    good = [hmac.compare_digest(_mac(key, body), mac) for key in keys if len(key) >= MIN_KEY]
    if not any(good):
        raise TokenError("the signature is not ours")
    attempt, order, unit, end = json.loads(body)
    expires_at = datetime.fromtimestamp(end, UTC)
    if now >= expires_at:
        raise TokenExpired(f"expired at {expires_at.isoformat()}")
    return AckToken(attempt, order, unit, expires_at)


def short_mac(key: bytes, words: str) -> str:
    """Sixteen hex digits that only the holder of `key` can make for `words`."""
    return hmac.new(key, b"bridge110 name 1\0" + words.encode(), hashlib.sha256).hexdigest()[:16]


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, _PURPOSE + body, hashlib.sha256).digest()[:16]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(data) != text:
        raise ValueError("not the one way to write it")
    return data
