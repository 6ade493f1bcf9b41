"""human: wait until somebody answers."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from core.clock import Clock
from server.agents.flow.definition import Json
from server.agents.nodes.base import Done, Effect, NodeConfig, Step, Waiting
from server.agents.nodes.input import checked_schema

ANSWERED = "answered"
EXPIRED = "expired"
LONGEST_WAIT_SECONDS = 365 * 24 * 3600


class HumanConfig(NodeConfig):
    prompt: Any = Field(description="What the person is asked and shown: text or any JSON.")
    choices: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default=[],
        max_length=20,
        description='The ways out. The answer is one of them, or {"choice": …} with whatever else there is to say.',
    )
    json_schema: dict[str, Any] | None = Field(
        None, alias="schema", description="JSON Schema of the answer, where there are no choices."
    )
    expires_after_seconds: float | None = Field(
        None, gt=0, le=LONGEST_WAIT_SECONDS, description="After so long it leaves by `expired`. Without it, it waits."
    )

    @field_validator("json_schema")
    @classmethod
    def _is_schema(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        return checked_schema(schema)

    @model_validator(mode="after")
    def _has_one_question(self) -> Self:
        if self.choices and self.json_schema is not None:
            raise ValueError("A person is given `choices` or a `schema`, not both.")
        if len({*self.choices, EXPIRED, "error"}) < len(self.choices) + 2:
            raise ValueError(f"Choices differ from one another, and none is called {EXPIRED!r} or 'error'.")
        return self

    @property
    def answer_schema(self) -> dict[str, Any] | None:
        if not self.choices:
            return self.json_schema
        one = {"enum": list(self.choices)}
        return {"anyOf": [one, {"type": "object", "properties": {"choice": one}, "required": ["choice"]}]}


class Human:
    """`clock` tells when the time for an answer has run out."""

    name: ClassVar[str] = "human"
    title: ClassVar[str] = "Person"
    description: ClassVar[str] = (
        "Waits until somebody answers (`POST /agents/executions/{id}/respond`). Leaves by the choice that was made, or "
        "by `answered`; by `expired` if nobody answered in time."
    )
    effect: ClassVar[Effect] = Effect.PURE
    config_model = HumanConfig
    output_schema: ClassVar[Mapping[str, Json]] = {"description": "The answer; null if nobody answered in time."}
    raw_fields: ClassVar[frozenset[str]] = frozenset({"schema", "choices"})

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def ports(self, config: Mapping[str, Json]) -> frozenset[str]:
        choices = config.get("choices")
        named = [each for each in choices if isinstance(each, str)] if isinstance(choices, list) else []
        return frozenset({*(named or [ANSWERED]), EXPIRED})

    async def run(self, step: Step[HumanConfig]) -> Done | Waiting:
        config = step.config
        if not step.has_waited:
            return Waiting(
                kind="person",
                name=step.path,
                until=until(self._clock, config.expires_after_seconds),
                schema=config.answer_schema,
                prompt=config.prompt,
            )
        if step.wait_expired:
            return Done(output=None, port=EXPIRED)
        answer = step.answer
        chosen = answer.get("choice") if isinstance(answer, dict) else answer
        return Done(output=answer, port=chosen if config.choices and isinstance(chosen, str) else ANSWERED)


def until(clock: Clock, seconds: float | None) -> Any:
    """Return the moment so many seconds from now, or None."""
    return None if seconds is None else clock.now() + timedelta(seconds=seconds)
