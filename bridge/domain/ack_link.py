"""The signed token of an acknowledge link: it names one attempt, and nobody can make another.

The link shows a page; only its POST signs (mail gateways open links). It is good once by nature: a
second POST finds the order signed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

_ATTEMPT = re.compile(r"[A-Za-z0-9-]{1,48}\.[0-9]{1,4}\Z")
_TAG_BYTES = 16


def ack_token(secret: bytes, attempt: str) -> str:
    """The token of that attempt. Raises ValueError for what is no attempt."""
    if not _ATTEMPT.match(attempt):
        raise ValueError(f"no attempt: {attempt!r}")
    return f"{attempt}.{_tag(secret, attempt)}"


def attempt_of(secret: bytes, token: str) -> str | None:
    """The attempt that a token names, or None where the token is not ours."""
    attempt, _, tag = token.rpartition(".")
    if len(token) > 120 or not token.isascii() or not _ATTEMPT.match(attempt):
        return None
    return attempt if hmac.compare_digest(tag, _tag(secret, attempt)) else None


def _tag(secret: bytes, attempt: str) -> str:
    made = hmac.new(secret, f"ack:{attempt}".encode(), hashlib.sha256).digest()[:_TAG_BYTES]
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
