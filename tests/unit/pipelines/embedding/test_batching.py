"""Batches of like length."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.embedding.batching import length_batches, padded


@given(lengths=st.lists(st.integers(1, 256), max_size=200), batch_tokens=st.integers(1, 2_000))
def test_every_text_is_in_one_batch_and_no_batch_is_too_large(lengths: list[int], batch_tokens: int) -> None:
    """Batches split the texts among them; only a single long text may exceed the size."""
    batches = length_batches(lengths, batch_tokens=batch_tokens)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= batch_tokens


def test_texts_of_like_length_meet() -> None:
    """Long texts do not make short ones pay for their padding."""
    assert length_batches([5, 100, 5, 100], batch_tokens=200) == [[1, 3], [0, 2]]


def test_padding_is_masked() -> None:
    """Ids are followed by [PAD], and the mask is one exactly where there is text."""
    ids, mask = padded([[101, 7, 102], [101, 102]])
    assert ids.tolist() == [[101, 7, 102], [101, 102, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]
