"""How far to trust vectors with a question, by its language."""

from pipelines.embedding.base import Embedder
from pipelines.language import language_of
from pipelines.retrieval.fuse import ALPHA


def alpha_for(query: str, embedder: Embedder) -> float:
    """Return the vector's share for `query`: none in a language that the embedder does not know.

    Vectors of such a text are nearly arbitrary, and fusing them in spoils what its words find. Where the words find too
    little, what the vectors found still fills the list, behind everything that shares a word.
    """
    language = language_of(query) if embedder.languages is not None else None
    return ALPHA if language is None or language in (embedder.languages or ()) else 0.0
