"""answer: answer a question from the tenant's documents, each sentence proved by a quote."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import ClassVar

from pydantic import Field

from core.errors import ApiError
from server.agents.flow.definition import Json
from server.agents.nodes.base import Called, Done, Effect, NodeFailed, Step, Usage
from server.agents.nodes.ports import Portless
from server.agents.nodes.retrieve import PassagesConfig, reader, refused
from server.rag.answers.schemas import EXTRACTIVE, AnswerRequest, Delta, GroundedAnswer
from server.rag.answers.service import Answers


class AnswerConfig(PassagesConfig):
    limit: int = Field(5, ge=1, le=20, description="How many passages to answer from.")
    model: str = Field(EXTRACTIVE, max_length=40, description="`extractive`, or one that this installation has.")
    max_sentences: int = Field(3, ge=1, le=10, description="Longest extractive answer.")
    threshold: float | None = Field(None, ge=0, le=1, description="Abstain below this confidence.")


class AnswerNode(Portless):
    """The same as `POST /api/v1/rag/answer`; what the answer says comes to followers piece by piece."""

    name: ClassVar[str] = "answer"
    title: ClassVar[str] = "Answer"
    description: ClassVar[str] = "Answers a question from the tenant's documents, with a citation for each sentence."
    effect: ClassVar[Effect] = Effect.CALL
    config_model = AnswerConfig
    output_schema: ClassVar[Mapping[str, Json]] = {
        "type": "object",
        "properties": {
            "answer": {"type": "string"},
            "citations": {"type": "array", "items": {"type": "object"}},
            "abstained": {"type": "boolean"},
            "reason": {"type": ["string", "null"]},
            "confidence": {"type": ["number", "null"]},
        },
    }

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def run(self, step: Step[AnswerConfig]) -> Done:
        asked = step.config.model_dump(exclude={"retry", "timeout_seconds"})
        try:
            request = AnswerRequest.model_validate(asked)
        except ValueError as error:
            told = str(error).splitlines()[0][:200]
            raise NodeFailed(f"This cannot be asked: {told}", code="NODE_CONFIG_INVALID") from None
        return Done(output=await step.call("answer", lambda _key: self._told(step, request)))

    async def _told(self, step: Step[AnswerConfig], request: AnswerRequest) -> Called:
        whole: GroundedAnswer | None = None
        try:
            async with aclosing(self._answers.told(reader(step.tenant_id), request)) as told:  # type: ignore[type-var]
                async for event in told:
                    if isinstance(event, Delta):
                        step.tell(event.text)
                    elif isinstance(event, GroundedAnswer):
                        whole = event
        except ApiError as error:
            raise refused(error) from error
        assert whole is not None
        usage = Usage(calls=1)
        if whole.usage is not None:
            usage = Usage(
                calls=1,
                prompt_tokens=whole.usage.prompt_tokens,
                completion_tokens=whole.usage.completion_tokens,
            )
        return Called(result=whole.model_dump(mode="json", exclude_none=False), usage=usage)
