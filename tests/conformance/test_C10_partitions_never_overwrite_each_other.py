"""C10: what two partitions and two sources bring is all there, and bringing it again adds nothing."""

from pathlib import Path

from stores.buckets import bucket_of
from tests.integration.assets.batch import Batch
from tests.integration.assets.conftest import batch, home  # noqa: F401 - fixtures
from tests.integration.assets.test_sources import ask_again, crawl, fill, folder, living, source, tick  # noqa: F401


def test_two_partitions_and_two_sources_are_a_union(folder: Path, batch: Batch) -> None:  # noqa: F811 - fixtures
    """Files of one name in two sources are two documents, in each of two partitions; a second run makes no other."""
    tenants = [batch.tenant(bucket=bucket) for bucket in (3, 11)]
    for name, count in (("one", 3), ("two", 4)):
        fill(folder / name, count)
        for tenant_id in tenants:
            source(batch, tenant_id, (folder / name).as_uri(), name=name)
    tick(batch)
    counts = []
    for _ in range(2):
        for tenant_id in tenants:
            crawl(batch, bucket_of(tenant_id))
            batch.materialize(bucket_of(tenant_id), documents={"scope": "pending"})
        counts.append([batch.stored_chunks(tenant_id) for tenant_id in tenants])
        ask_again(batch)
    assert [len(stored) for stored in counts[0]] == [7, 7]
    assert counts[0] == counts[1]
    assert len(living(batch)) == 4
    assert len(batch.documents()) == 14
