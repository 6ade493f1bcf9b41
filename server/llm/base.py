"""What a language model is to those who ask it: messages in, a stream of text out."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, as the model counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatModel(Protocol):
    @property
    def name(self) -> str:
        """What it is called in requests and answers."""

    def say(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncIterator[str | Usage]:
        """Yield the answer piece by piece, and at most once what it cost.

        Raises ServiceUnavailable if the model does not answer, or stops before its end.
        """
