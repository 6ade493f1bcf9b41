"""The flows that come with the system are sound, by the node types that there are."""

import pytest

from core.clock import SystemClock
from server.agents.executor.journal import Completed, Parked
from server.agents.flow.validation import check
from server.agents.flows.ready_made import NAMES, ready_made
from server.agents.nodes.registry import build_registry
from tests.factories.flows import run_flow


@pytest.mark.parametrize("name", NAMES)
def test_it_has_no_faults_and_needs_nothing(name: str) -> None:
    """No secret, no collection: each runs in a tenant that has nothing but documents."""
    checked = check(ready_made()[name], build_registry(clock=SystemClock()))
    assert checked.faults == []
    assert checked.references == []


@pytest.mark.parametrize(
    ("text", "queue"),
    [
        ("Amount due: 120 EUR", "accounting"),
        ("This agreement is made between", "legal"),
        ("I want a REFUND", "support"),
        ("The dome opens at dusk.", "desk"),
    ],
)
async def test_triage_sorts(text: str, queue: str) -> None:
    """Each document by the way that it takes."""
    ending = await run_flow(dict(ready_made()["triage"]), {"text": text})
    assert isinstance(ending, Completed)
    assert ending.result["queue"] == queue


async def test_approval_waits_for_a_person_if_it_is_worth_it() -> None:
    """What is cheap is not asked about."""
    small = await run_flow(dict(ready_made()["approval"]), {"request": "A pen", "amount": 2})
    assert isinstance(small, Completed)
    assert small.result == {"approved": True, "request": "A pen"}
    assert isinstance(await run_flow(dict(ready_made()["approval"]), {"request": "A mirror", "amount": 900}), Parked)
