"""Static hash buckets of the tenant: the partitions of the batch lane."""

import hashlib

from core.ids import TenantId

BUCKETS = 16


def bucket_of(tenant_id: TenantId) -> int:
    """Return the bucket of a tenant, 0..15. Stable across processes and releases: rows store it."""
    return int.from_bytes(hashlib.sha256(tenant_id.encode()).digest()[:8], "big") % BUCKETS
