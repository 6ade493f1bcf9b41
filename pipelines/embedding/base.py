"""What an embedder is: texts in, unit vectors out."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    space: str
    """Names the vector space (model and its revision): vectors of different spaces are never compared.
    Lower-case letters, digits and dashes, so that it can be part of a table's name."""

    dimensions: int
    max_tokens: int
    languages: frozenset[str] | None
    """ISO 639-1 codes of those whose meaning its vectors hold; None is all."""

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) character offsets of each content token of `text`, in order."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32 of shape (len(texts), dimensions), rows L2-normalised, in the order of `texts`.

        Blocking CPU work, safe to call from several threads. Raises EmbeddingFailed.
        """


class Secret(Protocol):
    def get_secret_value(self) -> str: ...


class EndpointSettings(Protocol):
    """An embedding endpoint as the settings have it."""

    @property
    def base_url(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def languages(self) -> tuple[str, ...]: ...
    @property
    def api_key(self) -> Secret | None: ...
