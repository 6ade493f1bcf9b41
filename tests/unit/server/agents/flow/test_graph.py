"""How nodes hang together, against the plainest way to find out."""

from hypothesis import given
from hypothesis import strategies as st

from server.agents.flow.graph import Graph

SIZE = 9
EDGES = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=20)


def _closure(edges: list[tuple[int, int]]) -> set[tuple[int, int]]:
    known = set(edges)
    while True:
        more = {(a, d) for a, b in known for c, d in known if b == c} - known
        if not more:
            return known
        known |= more


@given(EDGES)
def test_before_is_what_leads_to_a_node(edges: list[tuple[int, int]]) -> None:
    """Exactly the nodes from which some way leads there, in circles as well."""
    edges = [edge for edge in edges if edge[0] != edge[1]]
    ways = _closure(edges)
    found = {(a, b) for b, bits in enumerate(Graph(SIZE, edges).before()) for a in range(SIZE) if bits >> a & 1}
    assert found == ways


@given(EDGES)
def test_each_circle_is_one_and_none_is_missed(edges: list[tuple[int, int]]) -> None:
    """A circle follows edges back to where it began; there is one exactly where a node comes before itself."""
    edges = [edge for edge in edges if edge[0] != edge[1]]
    ways, circles = _closure(edges), Graph(SIZE, edges).circles
    for circle in circles:
        assert len(circle) == len(set(circle)) > 1
        assert all(pair in edges for pair in zip(circle, [*circle[1:], circle[0]], strict=True))
    knotted = {a for a, b in ways if a == b}
    assert all(any((node, circle[0]) in ways and (circle[0], node) in ways for circle in circles) for node in knotted)
    assert knotted or not circles


@given(EDGES, st.integers(0, SIZE - 1))
def test_reached_is_the_start_and_what_comes_after(edges: list[tuple[int, int]], start: int) -> None:
    """As the closure has it."""
    ways = _closure(edges)
    assert Graph(SIZE, edges).reached_from([start]) == {start} | {b for a, b in ways if a == start}


def test_a_chain_as_long_as_a_flow_can_be() -> None:
    """Nothing recurses: a thousand in a row, and a thousand in a circle."""
    chain = [(node, node + 1) for node in range(999)]
    graph = Graph(1000, chain)
    assert (graph.starts, graph.circles) == ([0], [])
    assert graph.before()[999].bit_count() == 999
    assert len(Graph(1000, [*chain, (999, 0)]).circles[0]) == 1000
