"""Flows drawn by lot, of every kind of node that decides, repeats or calls, and what an uncrashed run comes to."""

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

from pydantic import Field

from server.agents.executor.journal import Completed
from server.agents.flow.definition import Json
from server.agents.nodes.base import Called, Done, Effect, NodeConfig, Registry, Step, Usage
from server.agents.nodes.ports import Portless
from tests.factories.flows import flow, run_flow

# What a node does in the world: given its path, the key that it shows, and a number; returns what the world answers.
World = Callable[[str, str, int], Awaitable[int]]


class EffectConfig(NodeConfig):
    number: int = Field(description="What is sent out.")
    calls: int = 1


class EffectNode(Portless):
    """Calls the world under keys of its own, and comes to the sum of what it answers."""

    name: ClassVar[str] = "effect"
    title: ClassVar[str] = "Effect"
    description: ClassVar[str] = "Calls the world."
    effect: ClassVar[Effect] = Effect.CALL
    config_model = EffectConfig
    output_schema: ClassVar[Mapping[str, Json]] = {}

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, step: Step[EffectConfig]) -> Done:
        total = 0
        for number in range(step.config.calls):

            async def ask(key: str, number: int = number) -> Called:
                answer = await self._world(f"{step.execution_id}:{step.path}", key, step.config.number + number)
                return Called(result=answer, usage=Usage(calls=1, cost_micros=10))

            answered = await step.call(f"call-{number}", ask)
            assert isinstance(answered, int)
            total += answered
        return Done(output=total)


def types(world: World) -> Registry:
    return {"effect": EffectNode(world)}


async def harmless(_where: str, _key: str, number: int) -> int:
    return number * 7 % 1000


def drawn(dice: random.Random) -> dict[str, Any]:
    """Return a flow whose result depends on every node that runs."""
    nodes: dict[str, tuple[str, dict[str, Any]]] = {"start": ("input", {})}
    edges: list[tuple[str, ...]] = []
    ends = ["start"]
    for number in range(dice.randint(2, 7)):
        before = dice.choice(ends)
        name = f"n{number}"
        kind = dice.choice(["effect", "effect", "template", "map", "loop", "fork"])
        value = f"nodes.{before}.output"
        if kind == "effect":
            nodes[name] = ("effect", {"number": f"{{{{ {value} | int }}}}", "calls": dice.randint(1, 3)})
        elif kind == "template":
            nodes[name] = ("template", {"template": f"{{{{ ({value} | int) + {dice.randint(1, 99)} }}}}"})
        elif kind == "map":
            body = flow({"x": ("effect", {"number": f"{{{{ item + ({value} | int) }}}}"})})
            mapped = {"items": list(range(dice.randint(0, 4))), "body": body, "max_concurrency": dice.randint(1, 3)}
            nodes[f"{name}m"] = ("map", mapped)
            nodes[name] = ("template", {"template": f"{{{{ nodes.{name}m.output | sum }}}}"})
            edges += [(before, f"{name}m")]
            before = f"{name}m"
        elif kind == "loop":
            body = flow({"x": ("effect", {"number": "{{ item | int }}"})})
            looped = {"initial": f"{{{{ {value} | int }}}}", "body": body, "max_iterations": dice.randint(1, 4)}
            nodes[name] = ("loop", looped)
        else:
            nodes[f"{name}c"] = ("condition", {"expression": f"int({value}) > {dice.randint(0, 1000)}"})
            nodes[f"{name}t"] = ("effect", {"number": f"{{{{ {value} | int }}}}"})
            nodes[f"{name}f"] = ("template", {"template": f"{{{{ ({value} | int) * 2 }}}}"})
            nodes[name] = (
                "template",
                {"template": f"{{{{ nodes.{name}t.output | default(0) + nodes.{name}f.output | default(0) }}}}"},
            )
            edges += [(before, f"{name}c"), (f"{name}c", f"{name}t", "true"), (f"{name}c", f"{name}f", "false")]
            edges += [(f"{name}t", name), (f"{name}f", name)]
            ends.append(name)
            continue
        edges.append((before, name))
        ends.append(name)
    nodes["out"] = ("output", {"value": {end: f"{{{{ nodes.{end}.output }}}}" for end in ends}})
    edges += [(end, "out") for end in ends]
    return flow(nodes, *edges)


async def expected(definition: Mapping[str, Any], given: Any) -> Any:
    """Return what a run comes to that nothing interrupts."""
    ending = await run_flow(definition, given, registry=types(harmless))
    assert isinstance(ending, Completed), ending
    return ending.result
