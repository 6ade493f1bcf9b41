"""The same content is embedded once, and a cache can only ever save time."""

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.ids import DocumentId, TenantId
from pipelines.embedding.base import Vectors
from pipelines.embedding.cache import (
    CachedEmbedder,
    MemoryVectorCache,
    SqliteVectorCache,
    Use,
    Vector,
    VectorCache,
    content_key,
    embed_reusing,
)
from pipelines.embedding.hashed import HashEmbedder

ANNA, BERT = TenantId("anna"), TenantId("bert")


class _Recorder(HashEmbedder):
    """Remembers what it was asked to embed."""

    def __init__(self, dimensions: int = 16) -> None:
        super().__init__(dimensions=dimensions)
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.extend(texts)
        return super().embed(texts)


class _BrokenCache:
    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        raise sqlite3.OperationalError("database is locked")

    def put_many(self, vectors: Mapping[bytes, Vector], uses: Iterable[Use] = ()) -> None:
        raise OSError("no space left on device")

    def forget(self, document_ids: Sequence[DocumentId]) -> None:
        raise OSError("no space left on device")

    def documents(self) -> set[DocumentId]:
        raise OSError("no space left on device")


@pytest.fixture(params=["memory", "sqlite"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> VectorCache:
    return MemoryVectorCache() if request.param == "memory" else SqliteVectorCache(tmp_path / "vectors.sqlite3")


def test_only_new_texts_are_embedded(cache: VectorCache) -> None:
    """A second call computes what is new in it, and answers in the order asked."""
    embedder = _Recorder()
    embed_reusing(embedder, cache, ANNA, ["one", "two"])
    vectors = embed_reusing(embedder, cache, ANNA, ["three", "two", "one"])
    assert embedder.asked == ["one", "two", "three"]
    assert np.array_equal(vectors, HashEmbedder(dimensions=16).embed(["three", "two", "one"]))


def test_a_text_that_repeats_is_embedded_once(cache: VectorCache) -> None:
    """Boilerplate on every page of a document costs one vector."""
    embedder = _Recorder()
    vectors = embed_reusing(embedder, cache, ANNA, ["footer", "body", "footer"])
    assert embedder.asked == ["footer", "body"]
    assert np.array_equal(vectors[0], vectors[2])


def test_no_texts_give_no_vectors(cache: VectorCache) -> None:
    """An empty call has the right shape and computes nothing."""
    embedder = _Recorder()
    assert embed_reusing(embedder, cache, ANNA, []).shape == (0, 16)
    assert embedder.asked == []


def test_tenants_share_nothing(cache: VectorCache) -> None:
    """What one tenant embedded is computed again for another, so timing tells nothing."""
    embedder = _Recorder()
    CachedEmbedder(embedder, cache, ANNA).embed(["a secret"])
    CachedEmbedder(embedder, cache, BERT).embed(["a secret"])
    assert embedder.asked == ["a secret", "a secret"]


def test_spaces_share_nothing(cache: VectorCache) -> None:
    """A vector of one model is never handed out for another."""
    embed_reusing(_Recorder(16), cache, ANNA, ["text"])
    assert embed_reusing(_Recorder(32), cache, ANNA, ["text"]).shape == (1, 32)


def test_document_takes_its_vectors_along(cache: VectorCache) -> None:
    """What only this document used, in any of its revisions, is gone; what another uses as well stays."""
    embedder = _Recorder()
    first, second = DocumentId("first"), DocumentId("second")
    embed_reusing(embedder, cache, ANNA, ["old", "shared"], [first, first])
    embed_reusing(embedder, cache, ANNA, ["new", "shared"], [first, second])
    embed_reusing(embedder, cache, ANNA, ["asked"])
    cache.forget([first])
    embedder.asked.clear()
    embed_reusing(embedder, cache, ANNA, ["old", "new", "shared", "asked"])
    assert embedder.asked == ["old", "new"]
    cache.forget([second])
    embedder.asked.clear()
    embed_reusing(embedder, cache, ANNA, ["shared", "asked"])
    assert embedder.asked == ["shared"]


def test_forgetting_twice_or_the_unknown_changes_nothing(cache: VectorCache) -> None:
    """A deletion that is repeated after a crash does no harm."""
    embedder = _Recorder()
    embed_reusing(embedder, cache, ANNA, ["text"], [DocumentId("one")])
    cache.forget([DocumentId("two"), DocumentId("three")])
    cache.forget([])
    embed_reusing(embedder, cache, ANNA, ["text"])
    assert embedder.asked == ["text"]
    cache.forget([DocumentId("one"), DocumentId("one")])
    cache.forget([DocumentId("one")])
    embed_reusing(embedder, cache, ANNA, ["text"])
    assert embedder.asked == ["text", "text"]


def test_forgotten_vectors_leave_no_bytes_in_the_file(tmp_path: Path) -> None:
    """Pages that became free are overwritten: neither vector nor hash can be read out of the file."""
    cache = _sqlite(tmp_path, 100)
    vector = np.arange(64, dtype=np.float32)
    cache.put_many({b"k" * 32: vector}, [(DocumentId("one"), b"k" * 32)])
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert vector.tobytes() in stored
    cache.forget([DocumentId("one")])
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert vector.tobytes() not in stored
    assert b"k" * 32 not in stored


def test_uses_go_with_the_vectors_that_make_room(tmp_path: Path) -> None:
    """The list of who uses what stays within the bound, too."""
    cache = _sqlite(tmp_path, 10)
    for number in range(35):
        cache.put_many({bytes([number]): np.ones(4, np.float32)}, [(DocumentId("one"), bytes([number]))])
    with sqlite3.connect(tmp_path / "vectors.sqlite3") as connection:
        assert connection.execute("SELECT count(*) FROM uses").fetchone() == (10,)
    connection.close()


def test_a_failing_cache_costs_only_time() -> None:
    """Neither a locked nor a full disk fails the document."""
    embedder = _Recorder()
    assert embed_reusing(embedder, _BrokenCache(), ANNA, ["text"]).shape == (1, 16)


def test_a_vector_of_the_wrong_length_is_computed_again(cache: VectorCache) -> None:
    """A damaged entry is a miss."""
    embedder = _Recorder()
    cache.put_many({content_key(ANNA, embedder.space, "text"): np.ones(3, np.float32)})
    assert embed_reusing(embedder, cache, ANNA, ["text"]).shape == (1, 16)
    assert embedder.asked == ["text"]


def test_keys_tell_their_parts_apart() -> None:
    """Parts are length-prefixed: moving a letter over a border makes another key."""
    keys = {content_key(TenantId(a), b, c) for a, b, c in [("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd")]}
    assert len(keys) == 3


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_oldest_entries_make_room(kind: str, tmp_path: Path) -> None:
    """A cache stays within its bound, and what was written last is still there."""
    make = MemoryVectorCache if kind == "memory" else lambda max_vectors: _sqlite(tmp_path, max_vectors)
    cache = make(max_vectors=10)
    for number in range(35):
        cache.put_many({bytes([number]): np.full(4, number, np.float32)})
    known = cache.get_many([bytes([number]) for number in range(35)])
    assert sorted(known) == [bytes([number]) for number in range(25, 35)]


def test_many_keys_are_asked_for_at_once(tmp_path: Path) -> None:
    """More keys than a statement may have parameters are found all the same."""
    cache = _sqlite(tmp_path, 10_000)
    vectors = {number.to_bytes(4, "big"): np.full(2, number, np.float32) for number in range(2_345)}
    cache.put_many(vectors)
    assert {key: float(vector[0]) for key, vector in cache.get_many(list(vectors)).items()} == {
        key: float(vector[0]) for key, vector in vectors.items()
    }


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Several workers that write the same file wait for each other."""

    def write(worker: int) -> None:
        cache = _sqlite(tmp_path, 10_000)
        for number in range(20):
            cache.put_many({f"{worker}-{number}".encode(): np.ones(4, np.float32)})

    workers = [threading.Thread(target=write, args=[worker]) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    keys = [f"{worker}-{number}".encode() for worker in range(4) for number in range(20)]
    assert len(_sqlite(tmp_path, 10_000).get_many(keys)) == 80


def _sqlite(folder: Path, max_vectors: int) -> SqliteVectorCache:
    return SqliteVectorCache(folder / "vectors.sqlite3", max_vectors=max_vectors)
