"""Every type of event, with the JSON Schema of what it tells and an example."""

from collections.abc import Mapping
from typing import Any

from core.events import EventType
from server.webhooks.events.payloads import PAYLOADS

_EXAMPLE_ID = "evt_0192f0c1-2b80-7a44-8f10-3c2d1e0f9a8b"
_EXAMPLE_CREATED = 1_793_433_600


def check(event_type: EventType, payload: Mapping[str, Any]) -> None:
    """Raise pydantic's ValidationError unless this is what an event of that type tells, and no more."""
    PAYLOADS[event_type].model_validate(payload)


def description_of(event_type: EventType) -> str:
    return PAYLOADS[event_type].__doc__ or ""


def schema_of(event_type: EventType) -> dict[str, Any]:
    """Return the JSON Schema of `data`. Other fields are not ruled out: some may be added."""
    opened: dict[str, Any] = _open(PAYLOADS[event_type].model_json_schema())
    return opened


def example_of(event_type: EventType) -> Mapping[str, Any]:
    """Return an example of `data`."""
    return PAYLOADS[event_type].example


def whole_example_of(event_type: EventType) -> dict[str, Any]:
    """Return an example of all that is sent."""
    return {
        "id": _EXAMPLE_ID,
        "type": event_type.value,
        "created": _EXAMPLE_CREATED,
        "data": dict(example_of(event_type)),
    }


def _open(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: _open(value) for name, value in schema.items() if (name, value) != ("additionalProperties", False)
        }
    return [_open(value) for value in schema] if isinstance(schema, list) else schema
