"""An embedder behind any endpoint that speaks OpenAI's embeddings API, set by whoever runs this installation."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from core.errors import EmbeddingFailed
from core.log import get_logger
from pipelines.embedding.base import Vectors

log = get_logger()

# A request holds no more than this: endpoints commonly take 2,048 inputs and some hundred thousand tokens.
_TEXTS_A_REQUEST = 256
_CHARACTERS_A_REQUEST = 200_000
_TIMEOUT_SECONDS = 60.0
_TRIES = 5
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 20.0
_TRY_AGAIN = frozenset({408, 409, 429, 500, 502, 503, 504})
# Without the model's own tokenizer: at most four letters a token, which overcounts English and seldom undercounts.
_TOKEN = re.compile(r"[^\W_]{1,4}|_+|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to ask, and for what. `max_tokens` is the window of the model, `languages` None if it knows all."""

    base_url: str
    model: str
    dimensions: int
    max_tokens: int = 512
    languages: frozenset[str] | None = None
    api_key: str | None = field(default=None, repr=False)

    @property
    def space(self) -> str:
        """The same model at another address need not be the same: the address is part of the space."""
        name = re.sub(r"[^a-z0-9]+", "-", self.model.lower()).strip("-")[:32]
        told = "\n".join((self.base_url.rstrip("/"), self.model, str(self.dimensions)))
        return f"{name}-{self.dimensions}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"


class OpenAIEmbedder:
    """Asks in batches, asks again when the endpoint is busy, and believes no answer that it has not checked."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.space = endpoint.space
        self.dimensions = endpoint.dimensions
        self.max_tokens = endpoint.max_tokens
        self.languages = endpoint.languages
        self._model = endpoint.model
        self._sleep = sleep
        headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._client = httpx.Client(
            base_url=endpoint.base_url.rstrip("/") + "/",
            headers=headers,
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
            transport=transport,
        )

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) offsets of what are probably tokens: the endpoint tells nobody its own."""
        return [match.span() for match in _TOKEN.finditer(text)]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return float32 of shape (len(texts), dimensions), rows L2-normalised, in order. Raises EmbeddingFailed."""
        blocks = [self._checked(self._ask(batch), len(batch)) for batch in _batches(texts)]
        return np.concatenate(blocks) if blocks else np.empty((0, self.dimensions), np.float32)

    def _ask(self, texts: Sequence[str]) -> Any:
        # An endpoint refuses an empty input; what has no words has the vector of a space.
        asked = {"model": self._model, "input": [text or " " for text in texts], "encoding_format": "float"}
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(1, _TRIES + 1):
            wanted_pause = pause
            try:
                answer = self._client.post("embeddings", json=asked)
            except httpx.TransportError as error:
                log.warning("embedder.unreachable", attempt=attempt, error=repr(error))
            else:
                if answer.is_success:
                    return _json(answer)
                log.warning("embedder.refused", attempt=attempt, status=answer.status_code)
                if answer.status_code not in _TRY_AGAIN:
                    raise EmbeddingFailed("The embedding endpoint refused the request; its settings need a look.")
                wanted_pause = _retry_after(answer, pause)
            if attempt < _TRIES:
                self._sleep(min(wanted_pause, _LONGEST_PAUSE_SECONDS))
                pause *= 2
        raise EmbeddingFailed("The embedding endpoint does not answer; it is tried again.")

    def _checked(self, answer: Any, count: int) -> Vectors:
        try:
            entries = {int(entry["index"]): entry["embedding"] for entry in answer["data"]}
            given = len(answer["data"])
            rows = [entries[index] for index in range(count)]
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
                vectors = np.asarray(rows, np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise EmbeddingFailed("The embedding endpoint's answer is not one vector for each text.") from error
        if given != count or vectors.shape != (count, self.dimensions):
            raise EmbeddingFailed("The embedding endpoint's answer is not one vector of the set dimensions a text.")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(vectors).all() or not (lengths > 0).all():
            raise EmbeddingFailed("The embedding endpoint returned a vector that is zero or not finite.")
        # Models whose vectors are cut to fewer dimensions return them with their old length.
        normalised: Vectors = vectors / lengths
        return normalised


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    first = characters = 0
    for place, text in enumerate(texts):
        if place > first and (place - first >= _TEXTS_A_REQUEST or characters + len(text) > _CHARACTERS_A_REQUEST):
            yield texts[first:place]
            first, characters = place, 0
        characters += len(text)
    if first < len(texts):
        yield texts[first:]


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise EmbeddingFailed("The embedding endpoint's answer is not JSON.") from error


def _retry_after(answer: httpx.Response, otherwise: float) -> float:
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else otherwise
