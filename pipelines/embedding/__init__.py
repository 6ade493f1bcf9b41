"""Turning texts into vectors: the choice of embedders by the name in the settings."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from core.errors import ValidationFailed
from pipelines.embedding.base import Embedder, EndpointSettings

# The twin for tests in other sizes: the fewer dimensions, the more words share one, and the worse it finds.
_HASHED = re.compile(r"hashed-([1-9][0-9]{0,3})")


def _local(model_folder: Path, threads: int) -> Embedder:
    # Imported when chosen: whoever embeds elsewhere loads no model runtime.
    from pipelines.embedding.local import LocalEmbedder

    return LocalEmbedder(model_folder, threads=threads)


def _hashed(model_folder: Path, threads: int) -> Embedder:
    from pipelines.embedding.hashed import HashEmbedder

    return HashEmbedder()


EMBEDDERS: Mapping[str, Callable[[Path, int], Embedder]] = {"local": _local, "hashed": _hashed}


def is_embedder(name: str, endpoints: Mapping[str, EndpointSettings]) -> bool:
    """Whether there is an embedder of this name."""
    return name in EMBEDDERS or name in endpoints or _HASHED.fullmatch(name) is not None


def open_embedder(
    name: str, *, model_folder: Path, threads: int, endpoints: Mapping[str, EndpointSettings] | None = None
) -> Embedder:
    """Return the embedder of this name, ready to use: one of ours, or an endpoint by its name in the settings.

    Blocks while a model loads. Raises ValidationFailed for an unknown name, EmbeddingFailed where the model cannot
    be loaded.
    """
    endpoints = endpoints or {}
    if name in endpoints:
        return _remote(endpoints[name])
    if name in EMBEDDERS:
        return EMBEDDERS[name](model_folder, threads)
    sized = _HASHED.fullmatch(name)
    if sized is None:
        names = ", ".join(sorted({*EMBEDDERS, *endpoints}))
        raise ValidationFailed(f"There is no embedder named {name!r}; choose one of {names}")
    from pipelines.embedding.hashed import HashEmbedder

    return HashEmbedder(dimensions=int(sized.group(1)))


def _remote(settings: EndpointSettings) -> Embedder:
    from pipelines.embedding.openai import Endpoint, OpenAIEmbedder

    return OpenAIEmbedder(
        Endpoint(
            base_url=settings.base_url,
            model=settings.model,
            dimensions=settings.dimensions,
            max_tokens=settings.max_tokens,
            languages=frozenset(settings.languages) if settings.languages else None,
            api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        )
    )
