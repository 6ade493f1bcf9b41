"""What a check refuses does not reach the index, and no job is lost over it."""

from collections.abc import Sequence

import dagster as dg
import numpy as np
import pytest

from pipelines.embedding.base import Vectors
from pipelines.embedding.hashed import HashEmbedder
from stores.sql.models import DocumentStatus, JobStatus, Lane
from tests.integration.assets.batch import Batch, with_embedder

TEXTS = ["A first text, about nothing.", "A second text, about as much."]


class Zeros(HashEmbedder):
    """An embedder that broke: it answers, with nothing in it."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.zeros((len(texts), self.dimensions), np.float32)


def test_zero_vectors_stop_the_run_before_the_index(batch: Batch) -> None:
    """The check names the expectation and what was observed; nothing is written and nothing is closed."""
    tenant_id = batch.tenant(bucket=3)
    batch.post(tenant_id, TEXTS, lane=Lane.BATCH)
    result = batch.materialize(3, platform=with_embedder(Zeros()), raise_on_error=False)
    assert not result.success
    [refused] = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert refused.check_name == "vectors_have_length_one"
    records = refused.metadata["expectations"].records  # type: ignore[union-attr]
    [broken] = [record.data for record in records if not record.data["passed"]]
    assert broken["expectation"] == "expect_column_values_to_be_between"
    assert broken["unexpected"] == 2
    assert "0.0" in str(broken["sample"])
    assert batch.stored_chunks(tenant_id) == {}
    assert {job.status for job in batch.jobs()} == {JobStatus.PROCESSING}
    assert batch.events() == {}


def test_jobs_of_a_refused_run_are_done_by_the_next(batch: Batch) -> None:
    """When the leases of a refused run end, another run takes its jobs and finishes them."""
    tenant_id = batch.tenant(bucket=3)
    posted = batch.post(tenant_id, TEXTS, lane=Lane.BATCH)
    batch.materialize(3, platform=with_embedder(Zeros()), raise_on_error=False)
    batch.let_leases_end()
    batch.materialize(3, documents={"scope": "pending"}, embeddings={"reuse": False})
    assert batch.stored_chunks(tenant_id).keys() == set(posted)
    assert {row.status for row in batch.documents().values()} == {DocumentStatus.INDEXED}
    assert {job.attempt for job in batch.jobs()} == {2}


class EnglishOnly(HashEmbedder):
    """An embedder that knows one language."""

    def __init__(self) -> None:
        super().__init__()
        self.languages = frozenset({"en"})


@pytest.mark.parametrize(("german", "passed"), [(1, True), (5, False)])
def test_languages_that_the_embedder_does_not_know_are_a_warning(batch: Batch, german: int, passed: bool) -> None:
    """A tenth may be foreign; more is told with how many of each, and everything is indexed all the same."""
    english = [f"The dome opens at dusk, and this is what is known of it as of note {number}." for number in range(12)]
    texts = [f"Die Kuppel wird bei Regen geschlossen und der Spiegel mit Notiz {n} gereinigt." for n in range(german)]
    tenant_id = batch.tenant(bucket=3)
    posted = batch.post(tenant_id, [*english, *texts], lane=Lane.BATCH)
    result = batch.materialize(3, platform=with_embedder(EnglishOnly()))
    assert result.success
    [found] = [check for check in result.get_asset_check_evaluations() if check.check_name == "languages_are_known"]
    assert (found.passed, found.severity, found.partition) == (passed, dg.AssetCheckSeverity.WARN, "bucket_03")
    assert found.metadata["chunks_by_language"].value == {"en": 12, "de": german}
    assert batch.stored_chunks(tenant_id).keys() == set(posted)
