"""Partitions are buckets by another name."""

from assets.rag.partitions import BUCKET_PARTITIONS, bucket_in, partition_of
from stores.buckets import BUCKETS


def test_every_bucket_is_a_partition() -> None:
    """There is one partition per bucket, and the way there and back ends where it began."""
    assert BUCKET_PARTITIONS.get_partition_keys() == [partition_of(bucket) for bucket in range(BUCKETS)]
    assert [bucket_in(partition_of(bucket)) for bucket in range(BUCKETS)] == list(range(BUCKETS))
    assert partition_of(3) == "bucket_03"
