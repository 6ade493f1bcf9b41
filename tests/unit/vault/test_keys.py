"""Pairs of keys are new each time."""

from vault.keys import new_signing_key_pair


def test_signing_pairs_are_all_different() -> None:
    """Each pair is new, and its halves are 32 bytes in base64url."""
    pairs = [new_signing_key_pair() for _ in range(20)]
    halves = {half for pair in pairs for half in (pair.public, pair.private)}
    assert (len(halves), {len(half) for half in halves}) == (40, {43})
