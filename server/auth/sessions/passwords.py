"""Passwords as argon2id hashes, made beside the event loop and two at a time: each takes 64 MiB."""

import asyncio
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 8, 1_000
_AT_ONCE = 2
# RFC 9106, section 4, second recommendation: 3 passes over 64 MiB in 4 lanes.
_HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)


class Passwords:
    """One a process. A password is compared in NFKC: keyboards differ in how they compose the same characters."""

    def __init__(self, hasher: PasswordHasher = _HASHER) -> None:
        self._hasher = hasher
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._nobodys = ""

    async def hash(self, password: str) -> str:
        async with self._room:
            return await asyncio.to_thread(self._hasher.hash, _spelled(password))

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether this is the password of `stored`. Without one the work is the same, and the answer no."""
        if not self._nobodys:  # made for whoever asks first, or the time it takes would tell
            self._nobodys = await self.hash(secrets.token_hex(16))
        async with self._room:
            right = await asyncio.to_thread(self._verify, stored or self._nobodys, _spelled(password))
        return right and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


def _spelled(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
