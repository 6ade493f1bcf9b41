"""How far to trust vectors with a question, by its language and by that of what its words find."""

from collections.abc import Sequence
from functools import lru_cache

from pipelines.embedding.base import Embedder
from pipelines.language import language_of
from pipelines.retrieval.fuse import ALPHA

EVIDENCE = 8
"""So many of the best passages by words are looked at."""

# Enough of a passage to tell its language, in characters.
_GLANCE = 400


def alpha_for(query: str, embedder: Embedder, found: Sequence[str] = ()) -> float:
    """Return the vector's share for `query`, of which words alone find the passages `found`, the best of them.

    None where the question or most of these passages are in a language that the embedder does not know: vectors of
    such texts are nearly arbitrary, and fusing them in spoils what words find. The passages decide where the question
    cannot, being two names or a part's number, or where it is English and asks among texts that are not.
    """
    if embedder.languages is None or not _knows(embedder, language_of(query)):
        return ALPHA if embedder.languages is None else 0.0
    told = [language for text in found if (language := _glanced(text[:_GLANCE])) is not None]
    foreign = sum(not _knows(embedder, language) for language in told)
    return 0.0 if 2 * foreign > len(told) else ALPHA


def _knows(embedder: Embedder, language: str | None) -> bool:
    return language is None or language in (embedder.languages or ())


# The same passages are found again and again, and looking at one takes longer than finding it.
@lru_cache(maxsize=4096)
def _glanced(text: str) -> str | None:
    return language_of(text)
