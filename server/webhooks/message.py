"""What is sent of an event, and to whom."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

# What an endpoint says that wants every event.
EVERY_TYPE = "*"


def body_of(event_id: str, event_type: str, created_at: datetime, payload: Mapping[str, Any]) -> str:
    """Return what is sent of an event, as the API reference has it; ASCII, so that no one reads other bytes from it."""
    message = {"id": event_id, "type": event_type, "created": int(created_at.timestamp()), "data": payload}
    return json.dumps(message, separators=(",", ":"))


def wants(event_types: Sequence[str], event_type: str) -> bool:
    """Whether an endpoint that listed `event_types` is told of events of this type."""
    return event_type in event_types or EVERY_TYPE in event_types
