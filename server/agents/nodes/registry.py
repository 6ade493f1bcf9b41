"""Every node type there is: a closed list, made once a process."""

from typing import Any

from core.clock import Clock
from server.agents.nodes.base import NodeType, Registry
from server.agents.nodes.condition import Condition
from server.agents.nodes.containers import Loop, Map, Subflow
from server.agents.nodes.human import Human
from server.agents.nodes.input import Input
from server.agents.nodes.output import Output
from server.agents.nodes.switch import Switch
from server.agents.nodes.template import Template
from server.agents.nodes.wait_signal import WaitSignal


def build_registry(*, clock: Clock) -> Registry:
    """Return the node types by name, in the order in which they are listed."""
    types: list[NodeType[Any]] = [
        Input(),
        Output(),
        Template(),
        Condition(),
        Switch(),
        Map(),
        Loop(),
        Subflow(),
        Human(clock),
        WaitSignal(clock),
    ]
    return {each.name: each for each in types}
