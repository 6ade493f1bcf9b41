"""A key is recognised at sight, and a mistyped one is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tokens import hash_api_key, looks_like_api_key, new_api_key


@pytest.mark.parametrize("mode", ["live", "test"])
def test_new_key_is_recognised(mode: str) -> None:
    """Both modes carry their prefix and a right checksum."""
    key = new_api_key(mode)  # type: ignore[arg-type]  # parametrised over the literal's values
    assert key.startswith(f"cxk_{mode}_")
    assert looks_like_api_key(key)


@given(st.data())
def test_one_wrong_character_is_noticed(data: st.DataObject) -> None:
    """CRC-32 notices every change of one character."""
    key = new_api_key("test")
    position = data.draw(st.integers(len("cxk_test_"), len(key) - 1))
    letter = data.draw(st.sampled_from("0aZé"))
    changed = key[:position] + letter + key[position + 1 :]
    assert looks_like_api_key(changed) == (changed == key)


def test_hash_tells_keys_apart() -> None:
    """Equal keys have equal hashes, others do not, and the key is not in the hash."""
    key = new_api_key("test")
    assert hash_api_key(key) == hash_api_key(key)
    assert hash_api_key(key) != hash_api_key(new_api_key("test"))
    assert key not in hash_api_key(key)
