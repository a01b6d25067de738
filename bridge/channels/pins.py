"""PINs of units: Argon2, off the event loop, two at a time."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher()


class Pins:
    """Compares PINs with their hashes."""

    def __init__(self) -> None:
        self._few = asyncio.Semaphore(2)

    async def verify(self, hashed: str, pin: str) -> bool:
        """Whether this is the PIN."""
        async with self._few:
            return await asyncio.to_thread(_verify, hashed, pin)


def _verify(hashed: str, pin: str) -> bool:
    try:
        return _HASHER.verify(hashed, pin)
    except (VerificationError, InvalidHashError):
        return False
