"""Nodes that run other nodes: map, loop and subflow, each step of theirs below their own path."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from server.agents.executor.journal import Begun
from server.agents.executor.plan import Plan, PlannedNode
from server.agents.executor.run import STUCK, CameTo, FlowFailed, Sticks, Stuck
from server.agents.flow.definition import Json
from server.agents.nodes.base import Called, Done, NodeFailed

if TYPE_CHECKING:
    from server.agents.executor.frame import Frame

Container = Callable[["Frame", PlannedNode, Begun], Awaitable[Done | Stuck]]

MOST_ITEMS = 10_000
_DEFAULT_CONCURRENCY = 8
_DEFAULT_ITERATIONS = 100


def _rendered(frame: "Frame", node: PlannedNode, scope: Mapping[str, Json], *names: str) -> dict[str, Json]:
    given = {name: node.node.config[name] for name in names if name in node.node.config}
    rendered = frame.run.surroundings.language.render(given, scope)
    assert isinstance(rendered, dict)
    return rendered


async def run_map(frame: "Frame", node: PlannedNode, begun: Begun) -> Done | Stuck:
    """Run the body for every item, so many at once; the output has the items' order."""
    scope = frame.scope_of(node)
    config = _rendered(frame, node, scope, "items", "max_concurrency", "on_item_error", "flow_id", "version")
    items = config.get("items")
    if not isinstance(items, list) or len(items) > MOST_ITEMS:
        raise NodeFailed(f"`items` must come to a list of up to {MOST_ITEMS} items.", code="MAP_ITEMS_INVALID")
    one = await _each(frame, node, begun, config, scope)
    collects = config.get("on_item_error") == "collect"
    outputs: list[Any] = [None] * len(items)
    left = iter(range(len(items)))

    async def work() -> None:
        for index in left:
            try:
                outputs[index] = await one(index, items[index])
            except FlowFailed as error:
                if not collects:
                    raise
                outputs[index] = {"error": error.fault.as_json()}

    wanted = config.get("max_concurrency", _DEFAULT_CONCURRENCY)
    workers = min(wanted if isinstance(wanted, int) else _DEFAULT_CONCURRENCY, len(items))
    await _all(work, workers)
    return STUCK if STUCK in outputs else Done(output=outputs)


async def _all(work: Callable[[], Awaitable[None]], workers: int) -> None:
    if workers == 1:
        await work()
        return
    tasks = [asyncio.ensure_future(work()) for _ in range(workers)]
    try:
        for done in asyncio.as_completed(tasks):
            await done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _each(
    frame: "Frame", node: PlannedNode, begun: Begun, config: Mapping[str, Json], scope: dict[str, Json]
) -> Callable[[int, Json], Awaitable[CameTo]]:
    body = node.body
    if body is not None:
        plan = body

        async def in_body(index: int, item: Json) -> CameTo:
            inner = {**scope, "item": item, "index": index}
            return await frame.inside(plan, f"{begun.path}/{index}/", inner)

        return in_body
    flow_id, version = config.get("flow_id"), config.get("version")
    if not isinstance(flow_id, str):
        raise NodeFailed("A map needs a body, or the id of a flow.", code="NODE_CONFIG_INVALID")
    plan = await _pinned(frame, begun, flow_id, version if isinstance(version, int) else None, "")

    async def in_flow(index: int, item: Json) -> CameTo:
        return await frame.inside(plan, f"{begun.path}/{index}/", _of_its_own(frame, item))

    return in_flow


async def run_loop(frame: "Frame", node: PlannedNode, begun: Begun) -> Done | Stuck:
    """Run the body, then again for as long as `while` holds: `item` is what the turn before came to."""
    scope = frame.scope_of(node)
    config = _rendered(frame, node, scope, "initial", "input", "max_iterations")
    most = config.get("max_iterations", _DEFAULT_ITERATIONS)
    if node.body is None or not isinstance(most, int):
        raise NodeFailed("A loop needs a body.", code="NODE_CONFIG_INVALID")
    condition = node.node.config.get("while")
    output: Json = config.get("initial", config.get("input"))
    for index in range(most):
        inner: dict[str, Json] = {**scope, "item": output, "index": index}
        came_to = await frame.inside(node.body, f"{begun.path}/{index}/", inner)
        if isinstance(came_to, Stuck):
            return came_to
        output = came_to
        if isinstance(condition, str) and not frame.run.surroundings.language.holds(
            condition, {**inner, "item": output, "output": output, "index": index}
        ):
            break
    return Done(output=output)


async def run_subflow(frame: "Frame", node: PlannedNode, begun: Begun) -> Done | Stuck:
    """Run another flow as a part of this execution."""
    config = _rendered(frame, node, frame.scope_of(node), "flow_id", "version", "input")
    flow_id, version = config.get("flow_id"), config.get("version")
    if not isinstance(flow_id, str):
        raise NodeFailed("A subflow needs the id of a flow.", code="NODE_CONFIG_INVALID")
    plan = await _pinned(frame, begun, flow_id, version if isinstance(version, int) else None, "")
    came_to = await frame.inside(plan, f"{begun.path}/", _of_its_own(frame, config.get("input")))
    return came_to if isinstance(came_to, Stuck) else Done(output=came_to)


async def subflow_of_step(
    frame: "Frame", begun: Begun, flow_id: str, version: int | None, input: Json, name: str
) -> Json:
    """Run a flow inside of a node that is no container, and return what it comes to."""
    plan = await _pinned(frame, begun, flow_id, version, name)
    prefix = f"{begun.path}/{name}/" if name else f"{begun.path}/"
    came_to = await frame.inside(plan, prefix, _of_its_own(frame, input))
    if isinstance(came_to, Stuck):
        raise Sticks
    return came_to


def _of_its_own(frame: "Frame", input: Json) -> Mapping[str, Json]:
    return {"input": input, "context": frame.run.context, "nodes": {}}


async def _pinned(frame: "Frame", begun: Begun, flow_id: str, version: int | None, name: str) -> Plan:
    """Return what the flow does. A version that nobody named is the same after a crash."""
    flows, journal = frame.run.flows, frame.run.journal
    if version is None:
        called = f"$version/{name}"
        known = journal.called(begun.path, called)
        found = known.result if known is not None else await flows.current(flow_id)
        assert isinstance(found, int)
        version = found
        if known is None:
            journal.call(begun, called, Called(result=version))
    return await flows.plan(flow_id, version)


CONTAINERS: Mapping[str, Container] = {"map": run_map, "loop": run_loop, "subflow": run_subflow}
