"""Which language model a node asks: one of the installation's, or one at an endpoint that the author names."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from core.errors import ServiceUnavailable
from server.agents.nodes.base import NodeConfig, NodeFailed, SecretReference, Step
from server.agents.nodes.http import host_of, is_literal
from server.llm.base import ChatModel, EndpointBlocked
from server.llm.endpoints import Endpoints
from server.llm.openai import Endpoint
from server.rag.answers.schemas import EXTRACTIVE


class ModelConfig(NodeConfig):
    model: str = Field(
        EXTRACTIVE,
        max_length=200,
        description="`extractive` quotes the best sentences of `context`, without a model; others as they are set up, "
        "or as the endpoint of `base_url` calls them.",
    )
    base_url: Annotated[str, Field(max_length=4_000), AfterValidator(is_literal)] | None = Field(
        None, description="An endpoint that speaks OpenAI's chat completions, as in `https://api.openai.com/v1`."
    )
    api_key: SecretReference | None = Field(None, description="The secret that `base_url` is asked with.")

    @model_validator(mode="after")
    def _key_has_a_place(self) -> Self:
        if self.api_key is not None and self.base_url is None:
            raise ValueError("`api_key` is for the endpoint of a `base_url`; models of the installation have theirs.")
        return self


async def chosen(
    step: Step[Any], config: ModelConfig, models: Mapping[str, ChatModel], endpoints: Endpoints
) -> ChatModel:
    """Return the model that `config` names. Raises NodeFailed where there is none, or its key may not go there."""
    if config.base_url is not None:
        key = None
        if config.api_key is not None:
            key = await step.secret(config.api_key, host_of(config.base_url) or "")
        endpoint = Endpoint(base_url=config.base_url, model=config.model, api_key=key)
        return endpoints.model(step.tenant_id, endpoint)
    if config.model not in models:
        known = ", ".join([EXTRACTIVE, *sorted(models)])
        raise NodeFailed(f"There is no such model here; there are: {known}.", code="MODEL_UNKNOWN")
    return models[config.model]


def unavailable(error: ServiceUnavailable) -> NodeFailed:
    if isinstance(error, EndpointBlocked):
        return NodeFailed(error.message, code="EGRESS_BLOCKED")
    return NodeFailed(error.message, code="MODEL_UNAVAILABLE", retriable=True)
