"""Partitions are the hash buckets of the tenant: their number stays, however many tenants and documents come."""

import dagster as dg

from stores.buckets import BUCKETS

_PREFIX = "bucket_"

BUCKET_PARTITIONS = dg.StaticPartitionsDefinition([f"{_PREFIX}{bucket:02d}" for bucket in range(BUCKETS)])


def partition_of(bucket: int) -> str:
    """Return the partition key of a bucket, `bucket_00` to `bucket_15`."""
    return f"{_PREFIX}{bucket:02d}"


def bucket_in(partition_key: str) -> int:
    """Return the bucket that a partition key names."""
    return int(partition_key.removeprefix(_PREFIX))
