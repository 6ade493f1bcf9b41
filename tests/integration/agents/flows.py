"""Flows as their tables have them, for tests of what executes them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from core.clock import SystemClock
from core.ids import TenantId, new_id
from stores.sql.engine import Database
from stores.sql.models import FlowRow, FlowVersionRow


async def flow_of(database: Database, tenant_id: TenantId, *definitions: Mapping[str, Any]) -> str:
    """Keep a flow with these versions, the last of them published; return its id."""
    flow_id, now = new_id(), SystemClock().now()
    async with database.transaction() as session:
        session.add(
            FlowRow(
                id=flow_id,
                tenant_id=tenant_id,
                name=flow_id,
                search_name=flow_id,
                description="",
                extra={},
                status="published",
                latest_number=len(definitions),
                published_number=len(definitions),
                version=1,
                created_by="test",
                created_at=now,
                updated_at=now,
            )
        )
        await session.flush()
        for number, definition in enumerate(definitions, start=1):
            session.add(version_of(tenant_id, flow_id, number, definition))
    return flow_id


def version_of(tenant_id: TenantId, flow_id: str, number: int, definition: Mapping[str, Any]) -> FlowVersionRow:
    text = json.dumps(definition)
    return FlowVersionRow(
        flow_id=flow_id,
        number=number,
        tenant_id=tenant_id,
        definition=text,
        definition_sha256=hashlib.sha256(text.encode()).hexdigest(),
        created_by="test",
        created_at=SystemClock().now(),
    )
