"""C04: a configuration is frozen, and the same plan comes out of it twice (llama_index #20823)."""

from dataclasses import FrozenInstanceError, asdict, fields

import pytest

from pipelines.chunking import chunkers_for
from pipelines.document import ChunkingConfig, ChunkingStrategy, Element, ElementKind
from pipelines.embedding.hashed import HashEmbedder

ELEMENTS = [
    Element(kind=ElementKind.TITLE, text="Domes"),
    Element(kind=ElementKind.TEXT, text="The dome opens at dusk. It closes at dawn. " * 40),
    Element(kind=ElementKind.TABLE, text="\n".join(f"night {night} | open" for night in range(60))),
]


@pytest.mark.parametrize("strategy", ChunkingStrategy)
def test_C04_configuration_is_never_mutated(strategy: ChunkingStrategy) -> None:
    """Every strategy cuts the same passages the second time, and leaves its configuration as it was handed in."""
    config = ChunkingConfig(strategy=strategy, chunk_tokens=60, overlap_tokens=20)
    before = asdict(config)
    chunkers = chunkers_for(HashEmbedder())
    first = chunkers[config.strategy].split(ELEMENTS, config)
    # Work with every other configuration in between leaves nothing behind in the chunker.
    for other in ChunkingStrategy:
        chunkers[other].split(ELEMENTS, ChunkingConfig(strategy=other, chunk_tokens=30, overlap_tokens=0))
    assert chunkers[config.strategy].split(ELEMENTS, config) == first
    assert asdict(config) == before
    for field in fields(config):
        with pytest.raises(FrozenInstanceError):
            setattr(config, field.name, None)
