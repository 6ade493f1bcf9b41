"""One running system for all acceptance tests: starting it is what costs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.system import RunningSystem

_SYSTEM = pytest.StashKey[RunningSystem]()


@pytest.fixture(scope="session")
def running_system(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """Yield the whole system, ready, on embedded parts and an empty data folder."""
    system = pytestconfig.stash[_SYSTEM] = RunningSystem(tmp_path_factory.mktemp("codexos"))
    try:
        system.start()
        yield system
    finally:
        system.abandon()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the system with the last test of this folder: idle, it takes a tenth of a core from all that follow."""
    if nextitem is not None and nextitem.path.is_relative_to(Path(__file__).parent):
        return
    if system := item.config.stash.get(_SYSTEM, None):
        system.abandon()
