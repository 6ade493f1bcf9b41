"""Passwords: what is compared, with which parameters, and how many at a time."""

import asyncio
import threading

from argon2 import PasswordHasher, extract_parameters

from server.auth.sessions.passwords import Passwords

PATIENCE_SECONDS = 30


class Crowded(PasswordHasher):
    """Counts how many verify at the same time; the first two let nobody go before both are there."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = self.most = 0
        self.changing = threading.Lock()
        self.two = threading.Barrier(2)

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        return "nobody's"

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        with self.changing:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.two.wait(PATIENCE_SECONDS)
        with self.changing:
            self.inside -= 1
        return True


async def test_no_more_than_two_are_verified_at_once() -> None:
    """Each takes 64 MiB: a crowd that logs in waits for its turn and not for memory."""
    hasher = Crowded()
    passwords = Passwords(hasher)
    assert all(await asyncio.gather(*(passwords.matches("right", "hash") for _ in range(10))))
    assert hasher.most == 2


async def test_what_is_kept_is_argon2id_of_the_recommended_parameters() -> None:
    """RFC 9106: 3 passes over 64 MiB in 4 lanes; weaker hashes are outdated, and two of the same password differ."""
    passwords = Passwords()
    first, second = await passwords.hash("pass"), await passwords.hash("pass")
    found = extract_parameters(first)
    assert (found.type.name, found.time_cost, found.memory_cost, found.parallelism) == ("ID", 3, 65_536, 4)
    assert first != second
    assert not passwords.is_outdated(first)
    assert passwords.is_outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("pass"))


async def test_a_password_is_the_same_however_its_letters_are_composed() -> None:
    """NFKC: an accent typed as a sign of its own; anything else is another password, and rubbish is nobody's."""
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    stored = await passwords.hash("caf\u00e9 creme")
    assert await passwords.matches("cafe\u0301 creme", stored)
    assert not await passwords.matches("cafe creme", stored)
    assert not await passwords.matches("cafe creme", None)
    assert not await passwords.matches("cafe creme", "not a hash")
