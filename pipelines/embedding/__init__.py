"""Turning texts into vectors: the choice of embedders by the name in the settings."""

from collections.abc import Callable, Mapping
from pathlib import Path

from core.errors import ValidationFailed
from pipelines.embedding.base import Embedder


def _local(model_folder: Path, threads: int) -> Embedder:
    # Imported when chosen: whoever embeds elsewhere loads no model runtime.
    from pipelines.embedding.local import LocalEmbedder

    return LocalEmbedder(model_folder, threads=threads)


def _hashed(model_folder: Path, threads: int) -> Embedder:
    from pipelines.embedding.hashed import HashEmbedder

    return HashEmbedder()


EMBEDDERS: Mapping[str, Callable[[Path, int], Embedder]] = {"local": _local, "hashed": _hashed}


def open_embedder(name: str, *, model_folder: Path, threads: int) -> Embedder:
    """Return the embedder of this name, ready to use. Blocks while a model loads.

    Raises ValidationFailed for an unknown name, EmbeddingFailed where the model cannot be loaded.
    """
    if name not in EMBEDDERS:
        raise ValidationFailed(f"There is no embedder named {name!r}; choose one of {', '.join(sorted(EMBEDDERS))}")
    return EMBEDDERS[name](model_folder, threads)
