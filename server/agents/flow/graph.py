"""How the nodes of a flow hang together: what comes before what, what can be reached, and where it goes in circles."""

from collections import deque
from collections.abc import Iterable, Sequence


class Graph:
    """Nodes are numbers from 0; edges may be any pairs of them. Sets of nodes are the bits of an integer."""

    def __init__(self, size: int, edges: Iterable[tuple[int, int]]) -> None:
        self._after: list[list[int]] = [[] for _ in range(size)]
        self._incoming = [0] * size
        for source, target in edges:
            self._after[source].append(target)
            self._incoming[target] += 1
        self._components = self._strong_components()

    @property
    def starts(self) -> list[int]:
        """The nodes that no edge leads to."""
        return [node for node, count in enumerate(self._incoming) if not count]

    @property
    def circles(self) -> list[list[int]]:
        """Of each knot of nodes that lead to one another, one circle, beginning with its first node."""
        return [self._circle(min(component), component) for component in self._components if len(component) > 1]

    def reached_from(self, starts: Iterable[int]) -> set[int]:
        reached = set(starts)
        waiting = list(reached)
        while waiting:
            for target in self._after[waiting.pop()]:
                if target not in reached:
                    reached.add(target)
                    waiting.append(target)
        return reached

    def before(self) -> list[int]:
        """Return for each node the bits of all from which a way leads to it."""
        before = [0] * len(self._after)
        # The components come with what they lead to first: backwards, all is known of a node when it is looked at.
        for component in reversed(self._components):
            inside = sum(1 << node for node in component) if len(component) > 1 else 0
            seen = inside
            for node in component:
                seen |= before[node]
            for node in component:
                before[node] = seen
                for target in self._after[node]:
                    before[target] |= seen | 1 << node
        return before

    def _circle(self, first: int, component: Sequence[int]) -> list[int]:
        members, came_from, waiting = set(component), {first: first}, deque([first])
        while waiting:
            node = waiting.popleft()
            for target in self._after[node]:
                if target == first:
                    return _way_back(came_from, first, node)
                if target in members and target not in came_from:
                    came_from[target] = node
                    waiting.append(target)
        return [first]

    def _strong_components(self) -> list[list[int]]:
        """Tarjan's, without recursion: a flow may be a thousand nodes long."""
        order: dict[int, int] = {}
        lowest: dict[int, int] = {}
        stack: list[int] = []
        on_stack: set[int] = set()
        found: list[list[int]] = []
        for root in range(len(self._after)):
            if root in order:
                continue
            work = [(root, iter(self._after[root]))]
            while work:
                node, targets = work[-1]
                if node not in order:
                    order[node] = lowest[node] = len(order)
                    stack.append(node)
                    on_stack.add(node)
                for target in targets:
                    if target not in order:
                        work.append((target, iter(self._after[target])))
                        break
                    if target in on_stack:
                        lowest[node] = min(lowest[node], order[target])
                else:
                    work.pop()
                    if work:
                        parent = work[-1][0]
                        lowest[parent] = min(lowest[parent], lowest[node])
                    if lowest[node] == order[node]:
                        found.append(_popped(stack, on_stack, node))
        return found


def _popped(stack: list[int], on_stack: set[int], last: int) -> list[int]:
    component = []
    while True:
        node = stack.pop()
        on_stack.discard(node)
        component.append(node)
        if node == last:
            return component


def _way_back(came_from: dict[int, int], first: int, last: int) -> list[int]:
    way = [last]
    while way[-1] != first:
        way.append(came_from[way[-1]])
    return way[::-1]
