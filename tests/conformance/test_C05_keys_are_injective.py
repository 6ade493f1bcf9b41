"""C05: no two different things have the same key, however their parts are split (llama_index #23002)."""

from hypothesis import given
from hypothesis import strategies as st

from core.ids import TenantId, content_id
from pipelines.embedding.cache import content_key

# What a key that joins its parts by a separator, or by nothing, would confuse.
adversarial = st.text(alphabet="ab:|/\x00\x1f,\u0301é1", max_size=6)
parts = st.lists(adversarial, min_size=1, max_size=5)


@given(first=parts, second=parts)
def test_C05_keys_are_injective(first: list[str], second: list[str]) -> None:
    """The ids of chunks are equal exactly if all parts are."""
    assert (content_id("chunk", *first) == content_id("chunk", *second)) == (first == second)


@given(text=adversarial, cuts=st.tuples(st.integers(0, 6), st.integers(0, 6)))
def test_C05_another_split_of_the_same_characters_is_another_key(text: str, cuts: tuple[int, int]) -> None:
    """Moving the border between two parts changes the key."""
    one, other = ((text[:cut], text[cut:]) for cut in cuts)
    assert (content_id("chunk", *one) == content_id("chunk", *other)) == (one == other)


@given(first=st.tuples(*[adversarial] * 3), second=st.tuples(*[adversarial] * 3))
def test_C05_cache_keys_are_injective(first: tuple[str, str, str], second: tuple[str, str, str]) -> None:
    """A vector is found again only for the same tenant, space and text."""

    def key(of: tuple[str, str, str]) -> bytes:
        return content_key(TenantId(of[0]), of[1], of[2])

    assert (key(first) == key(second)) == (first == second)
