"""From a question to an answer whose every sentence is proved, told as it comes into being."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from core.errors import ValidationFailed
from pipelines.document import Hit
from pipelines.retrieval.extract import extract
from server.auth.principal import Principal
from server.llm.base import ChatModel, ToolCall, Usage
from server.rag.answers.grounding import Grounding, Proven, prompt
from server.rag.answers.schemas import EXTRACTIVE, AnswerRequest, Citation, Delta, GroundedAnswer, Retrieved, TokenUsage
from server.rag.queries.service import Answering, Found

# Of the best sentence. Below it more answers are beside the point than to it: benchmarks/README.md has the curve.
CONFIDENT = 0.40
_MOST_TOKENS = 1_000

NOTHING_FOUND = "Nothing was found in the documents."
NOT_CONFIDENT = "No passage answers this with enough confidence."
NOT_PROVEN = "The model gave no answer that the passages prove."

Told = Retrieved | Delta | Citation | GroundedAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One a process. `models` are those besides the extractive one."""

    answering: Answering
    models: Mapping[str, ChatModel]

    async def answer(self, owner: Principal, request: AnswerRequest) -> GroundedAnswer:
        """Return the whole answer. Raises as `told`."""
        async with aclosing(self.told(owner, request)) as told:  # type: ignore[type-var]
            async for event in told:
                if isinstance(event, GroundedAnswer):
                    return event
        raise AssertionError("what is told ends with the answer")

    async def told(self, owner: Principal, request: AnswerRequest) -> AsyncIterator[Told]:
        """Yield what was found, each sentence followed by its citation, and at last the whole answer.

        Raises ValidationFailed for a model that there is not, ServiceUnavailable if it does not answer.
        """
        model = self._model(request.model)
        began = time.perf_counter()
        found = await self.answering.found(owner, request)
        yield Retrieved(passages=len(found.hits), index_version=found.version)
        draft = Draft(request=request, found=found, began=began)
        if not found.hits:
            yield draft.finished(NOTHING_FOUND)
            return
        best = await asyncio.to_thread(extract, request.query, found.hits, found.embedder, most=request.max_sentences)
        draft.confidence = best[0].confidence if best else 0.0
        threshold = request.threshold if request.threshold is not None else (CONFIDENT if model is None else 0.0)
        if not best or draft.confidence < threshold:
            yield draft.finished(NOT_CONFIDENT)
            return
        if model is None:
            proven = (Proven(text=one.text, hit=one.hit, start=one.start, end=one.end) for one in best)
            for piece in proven:
                for event in draft.say(piece):
                    yield event
            yield draft.finished(None)
            return
        async with aclosing(self._modelled(model, request.query, found.hits, draft)) as events:  # type: ignore[type-var]
            async for event in events:
                yield event
        yield draft.finished(None if draft.citations else NOT_PROVEN)

    async def _modelled(self, model: ChatModel, query: str, hits: Sequence[Hit], draft: "Draft") -> AsyncIterator[Told]:
        grounding = Grounding(hits)
        async with aclosing(model.say(prompt(query, hits), max_tokens=_MOST_TOKENS)) as said:  # type: ignore[type-var]
            async for piece in said:
                if isinstance(piece, Usage):
                    draft.usage = piece
                    continue
                if isinstance(piece, ToolCall):
                    continue  # it was offered none
                for proven in grounding.read(piece):
                    for event in draft.say(proven):
                        yield event

    def _model(self, name: str) -> ChatModel | None:
        if name == EXTRACTIVE:
            return None
        if name not in self.models:
            known = ", ".join([EXTRACTIVE, *sorted(self.models)])
            fault = {"pointer": "/model", "message": f"There is no such model here; there are: {known}"}
            raise ValidationFailed("The request is not valid.", violations=[fault])
        return self.models[name]


class Draft:
    """The answer so far."""

    def __init__(self, *, request: AnswerRequest, found: Found, began: float) -> None:
        self._request = request
        self._found = found
        self._began = began
        self._text = ""
        self.citations: list[Citation] = []
        self.confidence: float | None = None
        self.usage: Usage | None = None

    def say(self, proven: Proven) -> list[Told]:
        """Add a sentence; return what is told of it."""
        gap = " " if self._text else ""
        start = len(self._text) + len(gap)
        self._text += gap + proven.text
        hit = proven.hit
        citation = Citation(
            chunk_id=hit.chunk_id,
            document_id=hit.document_id,
            revision=hit.revision,
            source=hit.source,
            page=hit.page,
            section=hit.section,
            quote=hit.text[proven.start : proven.end],
            start=start,
            end=len(self._text),
        )
        self.citations.append(citation)
        return [Delta(text=gap + proven.text), citation]

    def finished(self, reason: str | None) -> GroundedAnswer:
        """Return the answer, or with a `reason` why there is none."""
        usage = self.usage and TokenUsage(
            prompt_tokens=self.usage.prompt_tokens, completion_tokens=self.usage.completion_tokens
        )
        return GroundedAnswer(
            answer=self._text,
            citations=self.citations,
            abstained=reason is not None,
            reason=reason,
            confidence=None if self.confidence is None else round(self.confidence, 4),
            model=self._request.model,
            usage=usage,
            results=self._found.results if self._request.explain else None,
            query_time=round(time.perf_counter() - self._began, 4),
            index_version=self._found.version,
        )
