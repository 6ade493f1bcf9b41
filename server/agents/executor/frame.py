"""One walk over one graph: nodes run as they become ready, and what no path leads to any more is skipped."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import TypeAlias

from core.errors import CodexError
from server.agents.executor.attempts import attempts
from server.agents.executor.journal import Answer, Fault, Finished
from server.agents.executor.plan import OUTPUT, Plan, PlannedNode, Way
from server.agents.executor.run import STUCK, CameTo, FlowFailed, Run, Stuck, fault_of
from server.agents.flow.definition import Json
from server.agents.nodes.base import NodeFailed

Visited: TypeAlias = Finished | Fault | Stuck


# Flows run inside of flows no deeper than this.
_DEEPEST = 8


class Frame:
    """The graph of a flow, or of the body of a map or a loop. `prefix` ends with `/` unless it is the outermost."""

    __slots__ = (
        "_caught",
        "_inputs",
        "_left",
        "_outer",
        "_outputs",
        "_ready",
        "_stuck",
        "depth",
        "plan",
        "prefix",
        "run",
    )

    def __init__(self, run: Run, plan: Plan, prefix: str, outer: Mapping[str, Json], depth: int = 0) -> None:
        self.run = run
        self.plan = plan
        self.prefix = prefix
        self.depth = depth
        self._outer = outer
        self._outputs: dict[str, Json] = {}
        self._left: dict[PlannedNode, int] = {}
        self._inputs: dict[PlannedNode, dict[int, Json]] = {}
        self._ready: deque[PlannedNode] = deque(plan.starts)
        self._stuck = False
        self._caught: set[str] = set()  # nodes that failed and whose fallback edges were taken

    async def result(self) -> CameTo:
        """Run to the end. Raises FlowFailed."""
        under_way: dict[asyncio.Task[Visited], PlannedNode] = {}
        try:
            while True:
                self._begin_ready(under_way)
                if self._ready:  # one alone needs no task of its own
                    node = self._ready.popleft()
                    await self.run.breathe()
                    self._leave(node, await self._visit(node))
                    continue
                if not under_way:
                    break
                done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=lambda each: under_way[each].order):
                    self._leave(under_way.pop(task), task.result())
        finally:
            for task in under_way:
                task.cancel()
            if under_way:
                await asyncio.gather(*under_way, return_exceptions=True)
        return STUCK if self._stuck else self._result()

    async def inside(self, plan: Plan, prefix: str, outer: Mapping[str, Json]) -> CameTo:
        """Run another graph as a part of this one. Raises FlowFailed, NodeFailed where that is too deep."""
        if self.depth >= _DEEPEST:
            raise NodeFailed(f"Flows run inside of flows up to {_DEEPEST} deep.", code="TOO_DEEP")
        return await Frame(self.run, plan, prefix, outer, self.depth + 1).result()

    def scope_at(self, node_id: str) -> dict[str, Json]:
        """Return what a node sees: only nodes that come before it, so that it sees the same after a crash."""
        before = next(each.before for each in self.plan.nodes if each.node.id == node_id)
        return self._scope(before)

    def _scope(self, before: frozenset[str], *more: str) -> dict[str, Json]:
        seen: dict[str, Json] = {
            name: {"output": output} for name, output in self._outputs.items() if name in before or name in more
        }
        outer = self._outer.get("nodes")
        return {**self._outer, "nodes": {**outer, **seen} if isinstance(outer, dict) else seen}

    def scope_of(self, node: PlannedNode) -> dict[str, Json]:
        return self._scope(node.before)

    def _begin_ready(self, under_way: dict["asyncio.Task[Visited]", PlannedNode]) -> None:
        if len(self._ready) + len(under_way) < 2:
            return
        while self._ready:
            node = self._ready.popleft()
            under_way[asyncio.get_running_loop().create_task(self._visit(node))] = node

    async def _visit(self, node: PlannedNode) -> Visited:
        run, path = self.run, self.prefix + node.node.id
        finished = run.journal.finished(path)
        if finished is not None:
            return finished
        past = run.journal.past(path)
        if past is not None:
            if past.fault is not None:
                return past.fault
            if past.wait is not None and past.answer is None and past.wait.kind != "budget":
                until = past.wait.until
                if until is None or run.surroundings.now() < until:
                    run.park(path, until)
                    return STUCK
                past.answer = Answer(expired=True)
        inputs = self._inputs.pop(node, {})
        return await attempts(self, node, path, past, [inputs[place] for place in sorted(inputs)])

    def _leave(self, node: PlannedNode, visited: Visited) -> None:
        """Decide the edges that lead out of a node."""
        if isinstance(visited, Stuck):
            self._stuck = True
            return
        if isinstance(visited, Fault):
            if not node.catches:
                raise FlowFailed(visited, self.prefix + node.node.id)
            output: Json = {"error": visited.as_json()}
            self._caught.add(node.node.id)
            self._outputs[node.node.id] = output
            for way in node.ways:
                self._decide(way, way.on_error, output)
            return
        output = self._outputs[node.node.id] = visited.output
        for way in node.ways:
            self._decide(way, self._leads(node, way, visited), output)

    def _leads(self, node: PlannedNode, way: Way, finished: Finished) -> bool:
        if way.on_error:
            return False
        if way.port is not None:
            return way.port == finished.port
        if way.expression is None:
            return True
        scope = self._scope(node.before, node.node.id)
        scope["output"] = finished.output
        try:
            return self.run.surroundings.language.holds(way.expression, scope)
        except CodexError as error:
            fault = fault_of(error)
            where = f"The condition of the edge from {node.node.id} to {way.target.node.id}: {fault.message}"
            raise FlowFailed(Fault(code="CONDITION_FAILED", message=where), self.prefix + node.node.id) from error

    def _decide(self, way: Way, taken: bool, output: Json) -> None:
        dead: list[Way] = []
        while True:
            target = way.target
            left = self._left[target] = self._left.get(target, target.incoming) - 1
            if taken:
                self._inputs.setdefault(target, {})[way.position] = output
            if not left:
                if target in self._inputs:
                    self._ready.append(target)
                else:
                    self.run.journal.skip(self.prefix + target.node.id, target.node)
                    dead += target.ways
            if not dead:
                return
            way, taken = dead.pop(), False

    def _result(self) -> Json:
        named = [node for node in self.plan.nodes if node.node.type == OUTPUT and node.node.id in self._outputs]
        if named:
            return self._outputs[named[-1].node.id]
        ends = [node.node.id for node in self.plan.nodes if all(way.on_error for way in node.ways)]
        ran = [name for name in sorted(ends) if name in self._outputs and name not in self._caught]
        return {name: self._outputs[name] for name in ran} if len(ran) > 1 else self._outputs[ran[0]] if ran else None
