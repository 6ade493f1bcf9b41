"""An OpenAI-compatible server on loopback that streams what a script says: words, calls of tools, what they cost."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.fakes.website import Asked, Website, answer, website

COMPLETIONS = "/v1/chat/completions"
# What the model says to a request: its words, and calls as (tool, arguments).
Said = tuple[str, Sequence[tuple[str, Any]]]


def streamed(words: str, calls: Sequence[tuple[str, Any]] = (), *, prompt_tokens: int = 10) -> bytes:
    """Return one answer as OpenAI streams it: words and arguments of calls in two pieces."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in (words[:3], words[3:]) if piece]
    for index, (name, arguments) in enumerate(calls):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        half = len(text) // 2
        function = {"name": name, "arguments": text[:half]}
        deltas.append({"tool_calls": [{"index": index, "id": f"c{index}", "type": "function", "function": function}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": text[half:]}}]})
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": each}]} for each in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if calls else "stop"}]})
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 5, "total_tokens": prompt_tokens + 5}
    chunks.append({"choices": [], "usage": usage})
    shell = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
    lines = "".join(f"data: {json.dumps(shell | chunk)}\n\n" for chunk in chunks)
    return answer(lines + "data: [DONE]\n\n", content_type="text/event-stream")


@asynccontextmanager
async def model_site(thinks: Callable[[dict[str, Any]], Said]) -> AsyncIterator[Website]:
    """Serve a model that says to each request what `thinks` makes of its JSON."""

    def said(asked: Asked) -> bytes:
        return streamed(*thinks(json.loads(asked.body)))

    async with website({COMPLETIONS: said}) as site:
        yield site
