"""The catalogue of events: every type has its payload, its schema and an example that both agree on."""

import jsonschema
import pytest
from pydantic import ValidationError

from core.events import EventType
from server.webhooks.events.catalogue import check, description_of, example_of, schema_of, whole_example_of
from server.webhooks.events.payloads import PAYLOADS
from server.webhooks.events.service import all_types

REFERENCE = {
    "agent.execution.started",
    "agent.execution.completed",
    "agent.execution.failed",
    "marketplace.purchase.completed",
    "vault.secret.accessed",
}


def test_every_type_has_its_payload() -> None:
    """One model a type, and what the API reference names is among them."""
    assert PAYLOADS.keys() == set(EventType)
    assert len(set(PAYLOADS.values())) == len(PAYLOADS)
    assert set(EventType) >= REFERENCE
    assert [view.type for view in all_types().items] == sorted(EventType)


@pytest.mark.parametrize("event_type", list(EventType))
def test_an_example_is_what_its_schema_says(event_type: EventType) -> None:
    """By the model and by the published schema, which bears with a field more and not with one less."""
    example, schema = dict(example_of(event_type)), schema_of(event_type)
    check(event_type, example)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(example | {"added": 1}, schema)
    for name in schema["required"]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: value for key, value in example.items() if key != name}, schema)
    with pytest.raises(ValidationError):
        check(event_type, example | {"added": 1})
    assert description_of(event_type).endswith(".")


def test_a_whole_example_has_the_references_form() -> None:
    """The reference's four fields, in its order."""
    example = whole_example_of(EventType.AGENT_EXECUTION_COMPLETED)
    assert list(example) == ["id", "type", "created", "data"]
    assert example["data"].keys() == {"execution_id", "flow_id", "status", "result"}
