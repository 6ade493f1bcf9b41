"""One running system for all acceptance tests: starting it is what costs."""

from collections.abc import Iterator

import pytest

from tests.acceptance.system import RunningSystem


@pytest.fixture(scope="session")
def running_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """Yield the whole system, ready, on embedded parts and an empty data folder."""
    system = RunningSystem(tmp_path_factory.mktemp("codexos"))
    try:
        system.start()
        yield system
    finally:
        system.abandon()
