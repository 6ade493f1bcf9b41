"""Every node type there is: a closed list, made once a process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from core.clock import Clock
from server.agents.nodes.agent import Agent
from server.agents.nodes.answer import AnswerNode
from server.agents.nodes.base import NodeFailed, NodeType, Registry
from server.agents.nodes.condition import Condition
from server.agents.nodes.containers import Loop, Map, Subflow
from server.agents.nodes.http import Http
from server.agents.nodes.human import Human
from server.agents.nodes.input import Input
from server.agents.nodes.llm import Llm
from server.agents.nodes.output import Output
from server.agents.nodes.retrieve import Retrieve
from server.agents.nodes.switch import Switch
from server.agents.nodes.template import Template
from server.agents.nodes.tool import Tool
from server.agents.nodes.wait_signal import WaitSignal
from server.llm.base import ChatModel
from server.llm.endpoints import Endpoints
from server.rag.answers.service import Answers
from server.rag.queries.service import Answering
from stores.egress import Egress


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What nodes reach besides what they are given: the tenant's documents, and other systems."""

    answering: Answering
    answers: Answers
    models: Mapping[str, ChatModel]
    egress: Egress


class _Nowhere:
    """In a process that lists and checks node types and runs none."""

    def __getattr__(self, name: str) -> Any:
        raise NodeFailed("No flows are run in this process.", code="INTERNAL_ERROR")


def build_registry(*, clock: Clock, world: World | None = None) -> Registry:
    """Return the node types by name, in the order in which they are listed. Without `world` some cannot be run."""
    nowhere = cast(Any, _Nowhere())
    reached = world or World(answering=nowhere, answers=nowhere, models={}, egress=nowhere)
    endpoints = Endpoints(reached.egress)
    types: list[NodeType[Any]] = [
        Input(),
        Output(),
        Template(),
        Llm(reached.models, reached.answering.indexes if world else nowhere, endpoints),
        Agent(reached.models, endpoints, reached.egress, reached.answering),
        Retrieve(reached.answering),
        AnswerNode(reached.answers),
        Http(reached.egress),
        Tool(reached.egress),
        Condition(),
        Switch(),
        Map(),
        Loop(),
        Subflow(),
        Human(clock),
        WaitSignal(clock),
    ]
    return {each.name: each for each in types}
