"""Cutting documents into passages: the choice of chunkers by the name a request gives."""

from collections.abc import Callable, Mapping

from pipelines.chunking.base import Chunker
from pipelines.chunking.fixed import FixedChunker
from pipelines.chunking.recursive import RecursiveChunker
from pipelines.chunking.semantic import SemanticChunker
from pipelines.chunking.structure import StructureChunker
from pipelines.document import ChunkingStrategy
from pipelines.embedding.base import Embedder

# Each is made with the embedder whose tokens it counts: every embedder is also a tokenizer.
CHUNKERS: Mapping[ChunkingStrategy, Callable[[Embedder], Chunker]] = {
    ChunkingStrategy.FIXED: FixedChunker,
    ChunkingStrategy.RECURSIVE: RecursiveChunker,
    ChunkingStrategy.SEMANTIC: SemanticChunker,
    ChunkingStrategy.STRUCTURE: StructureChunker,
}


def chunkers_for(embedder: Embedder) -> dict[ChunkingStrategy, Chunker]:
    """Return one chunker of each strategy, all counting in the embedder's own tokens."""
    return {strategy: make(embedder) for strategy, make in CHUNKERS.items()}
