"""What a language model is to those who ask it: messages in, a stream of text and of wishes for tools out."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from core.errors import ServiceUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """What the model wants to have called. `arguments` is text as the model wrote it: JSON if all is well."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOffer:
    """A tool that a model may call. `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`tool_calls` belong to an assistant; `tool_call_id` says which of them a tool's message answers."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, as the model counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class EndpointBlocked(ServiceUnavailable):
    """The model's address is one that we do not connect to: trying again changes nothing."""


class ChatModel(Protocol):
    @property
    def name(self) -> str:
        """What it is called in requests and answers."""

    def say(
        self, messages: Sequence[Message], *, max_tokens: int, tools: Sequence[ToolOffer] = ()
    ) -> AsyncIterator[str | ToolCall | Usage]:
        """Yield the answer piece by piece, then the calls it wants made, and at most once what it cost.

        Raises ServiceUnavailable if the model does not answer, or stops before its end.
        """
