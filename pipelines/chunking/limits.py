"""How long a passage may be: the checks a request's chunking options must pass, and the bounds a chunker works in."""

from dataclasses import dataclass

from core.errors import ValidationFailed
from pipelines.chunking.base import Tokenizer
from pipelines.document import ChunkingConfig

# One character can become three tokens (a Hangul syllable is decomposed) and is never cut.
MIN_CHUNK_TOKENS = 4

# Text without tokens (blanks, controls) or with one token for a whole line (base64) is cut by length instead:
# English has 4.5 characters a token, the widest tables about 15.
_CHARACTERS_PER_TOKEN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    tokens: int
    overlap: int

    @property
    def characters(self) -> int:
        return self.tokens * _CHARACTERS_PER_TOKEN


def check_config(config: ChunkingConfig, tokenizer: Tokenizer) -> None:
    """Raise ValidationFailed, `details.violations` naming each option that cannot be honoured."""
    violations = _violations(config)
    if config.chunk_tokens > tokenizer.max_tokens:
        message = f"must be at most {tokenizer.max_tokens}, the most the embedder reads of one text"
        violations.append({"pointer": "/chunk_tokens", "message": message})
    _refuse(violations)


def limits_of(config: ChunkingConfig, tokenizer: Tokenizer) -> Limits:
    """Return the bounds to cut by; a chunk size above the embedder's window is lowered to it.

    Lowered and not refused: a job's snapshot may be older than the embedder that works on it.
    """
    _refuse(_violations(config))
    tokens = min(config.chunk_tokens, tokenizer.max_tokens)
    return Limits(tokens=tokens, overlap=min(config.overlap_tokens, tokens - 1))


def _violations(config: ChunkingConfig) -> list[dict[str, str]]:
    violations = []
    if config.chunk_tokens < MIN_CHUNK_TOKENS:
        violations.append({"pointer": "/chunk_tokens", "message": f"must be at least {MIN_CHUNK_TOKENS}"})
    if config.overlap_tokens < 0:
        violations.append({"pointer": "/overlap_tokens", "message": "must not be negative"})
    elif config.overlap_tokens >= config.chunk_tokens:
        violations.append({"pointer": "/overlap_tokens", "message": "must be less than chunk_tokens"})
    return violations


def _refuse(violations: list[dict[str, str]]) -> None:
    if violations:
        raise ValidationFailed("The chunking options cannot be honoured", violations=violations)
