"""The guide of flows, as somebody reads it: every example runs."""

from pathlib import Path

import pytest

from tests.integration.server.running import running, settings_for
from tests.integration.server.test_all_guides import examples, said_by


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_example_works(database_url: str, tmp_path: Path) -> None:
    """Literally: what is sound is kept, published and gone back from; what is not is told."""
    async with running(settings_for(tmp_path / "home", database_url)) as api:
        _, key = await api.tenant()
        said = await said_by(examples("docs/flows.md"), tmp_path, API=api.url, KEY=key)
    for told in ('"code":"bad_template"', '"code":"dangling_edge"', '"published_version":2', '"total":1'):
        assert told in said, told
    assert said.count('"published_version":1') >= 2
