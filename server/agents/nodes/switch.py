"""switch: one of several ways."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from server.agents.flow.definition import Json
from server.agents.nodes.base import Done, Effect, NodeConfig, Step
from server.agents.nodes.condition import checked_condition, decided

DEFAULT = "default"
_MOST_CASES = 100


class Case(BaseModel):
    """One way out. Without `equals` and `condition` it is taken where the value is its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=100, description="The port by which this case leaves.")
    equals: Any = Field(None, description="Taken where the switch's value is this.")
    condition: str | None = Field(
        None, description="Taken where this CEL expression holds.", json_schema_extra={"format": "cel"}
    )

    @field_validator("condition")
    @classmethod
    def _is_condition(cls, text: str | None) -> str | None:
        return None if text is None else checked_condition(text)

    @model_validator(mode="after")
    def _has_one_question(self) -> Self:
        if "equals" in self.model_fields_set and self.condition is not None:
            raise ValueError("A case has `equals` or `condition`, not both.")
        if self.name in (DEFAULT, "error"):
            raise ValueError(f"No case can be called {self.name!r}: the port of that name is another.")
        return self


class SwitchConfig(NodeConfig):
    value: Any = Field(None, description="What is compared. Without it: what led here.")
    cases: list[Case] = Field(
        min_length=1, max_length=_MOST_CASES, description="The first that holds is taken; if none does, `default`."
    )

    @model_validator(mode="after")
    def _has_names_once(self) -> Self:
        names = [case.name for case in self.cases]
        if len(set(names)) < len(names):
            raise ValueError("Two cases have the same name.")
        return self


class Switch:
    name: ClassVar[str] = "switch"
    title: ClassVar[str] = "Switch"
    description: ClassVar[str] = "Leaves by the first of its cases that holds, or by `default`."
    effect: ClassVar[Effect] = Effect.PURE
    config_model = SwitchConfig
    output_schema: ClassVar[Mapping[str, Json]] = {"type": "string", "description": "The name of the case."}
    raw_fields: ClassVar[frozenset[str]] = frozenset({"cases"})

    def ports(self, config: Mapping[str, Json]) -> frozenset[str]:
        cases = config.get("cases")
        found = [case.get("name") for case in cases if isinstance(case, dict)] if isinstance(cases, list) else []
        return frozenset({DEFAULT, *(name for name in found if isinstance(name, str))})

    async def run(self, step: Step[SwitchConfig]) -> Done:
        config = step.config
        value = config.value
        if "value" not in config.model_fields_set and len(step.inputs) == 1:
            value = step.inputs[0]
        taken = next((case.name for case in config.cases if _holds(case, value, step)), DEFAULT)
        return Done(output=taken, port=taken)


def _holds(case: Case, value: Json, step: Step[SwitchConfig]) -> bool:
    if case.condition is not None:
        return decided(case.condition, step)
    wanted = case.equals if "equals" in case.model_fields_set else case.name
    # To Python, True is 1.
    return isinstance(value, bool) is isinstance(wanted, bool) and bool(value == wanted)
