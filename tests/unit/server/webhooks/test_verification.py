"""Our signatures, verified by those who did not write them: the reference's function and the official package."""

import base64
import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from core.events import EventType
from core.ids import new_event_id
from server.webhooks.events.catalogue import example_of
from server.webhooks.message import body_of
from server.webhooks.signing import new_secret, signed_headers
from tests.factories.verification import verify_webhook

MUTATIONS = 40_000


def message(event_type: EventType) -> tuple[str, bytes]:
    event_id = new_event_id()
    return event_id, body_of(event_id, event_type, datetime.now(UTC), example_of(event_type)).encode("ascii")


def accepted(body: str, headers: dict[str, str], secret: str) -> list[str]:
    """Return who takes this for a message of ours."""
    takers = []
    if verify_webhook(body, headers["x-codexos-signature"], secret):
        takers.append("reference")
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
        takers.append("standardwebhooks")
    except WebhookVerificationError:
        pass
    return takers


@pytest.mark.parametrize("event_type", list(EventType))
def test_both_take_what_we_sign(event_type: EventType) -> None:
    """Of every type of event, under any secret of ours."""
    event_id, body = message(event_type)
    secret = new_secret()
    headers = signed_headers(body, event_id=event_id, sent_at=datetime.now(UTC), signing=[secret])
    assert accepted(body.decode(), headers, secret) == ["reference", "standardwebhooks"]
    assert Webhook(secret).verify(body, headers) == json.loads(body)


def test_while_a_secret_is_rotated_both_secrets_verify() -> None:
    """Standard Webhooks lists both signatures in one header; the reference's scheme has a header for each."""
    old, new = new_secret(), new_secret()
    event_id, body = message(EventType.RAG_DOCUMENT_INDEXED)
    headers = signed_headers(body, event_id=event_id, sent_at=datetime.now(UTC), signing=[new, old])
    for secret in (old, new):
        assert Webhook(secret).verify(body, headers)
    assert verify_webhook(body.decode(), headers["x-codexos-signature"], new)
    assert verify_webhook(body.decode(), headers["x-codexos-signature-previous"], old)
    assert accepted(body.decode(), headers, new_secret()) == []


def test_an_old_message_is_not_taken_for_a_new_one() -> None:
    """Standard Webhooks signs the time; whoever replays a recorded request is refused after five minutes."""
    secret = new_secret()
    event_id, body = message(EventType.RAG_DOCUMENT_INDEXED)
    sent_at = datetime.now(UTC) - timedelta(minutes=6)
    headers = signed_headers(body, event_id=event_id, sent_at=sent_at, signing=[secret])
    assert accepted(body.decode(), headers, secret) == ["reference"]


def test_nothing_that_was_tampered_with_is_taken() -> None:
    """40,000 bodies and signatures with something flipped, cut off, put in or taken from another: none is accepted."""
    dice = random.Random(20261123)
    secret, moment = new_secret(), datetime.now(UTC)
    types = list(EventType)
    for number in range(MUTATIONS):
        event_id, body = message(types[number % len(types)])
        headers = signed_headers(body, event_id=event_id, sent_at=moment, signing=[secret])
        text = body.decode()
        if number % 2:
            text = _tampered(text, dice)
        else:
            headers["x-codexos-signature"] = _tampered(headers["x-codexos-signature"], dice)
            headers["webhook-signature"] = _other_signature(headers["webhook-signature"], dice)
        assert accepted(text, headers, secret) == [], (text, headers)


def _tampered(text: str, dice: random.Random) -> str:
    at = dice.randrange(len(text))
    other = dice.choice([letter for letter in '0123456789abcdef"{}:, ' if letter != text[at]])
    return dice.choice(
        [
            text[:at] + other + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + other + text[at:],
            text[:at],
            text + other,
        ]
    )


def _other_signature(header: str, dice: random.Random) -> str:
    """Change the signature's bytes: its base64 has spellings besides, which say the same."""
    signature = bytearray(base64.b64decode(header.removeprefix("v1,")))
    at = dice.randrange(len(signature))
    changed = dice.choice(["flip", "cut", "longer", "version", "random"])
    if changed == "flip":
        signature[at] ^= 1 << dice.randrange(8)
    elif changed == "cut":
        del signature[at:]
    elif changed == "longer":
        signature.append(dice.randrange(256))
    elif changed == "random":
        signature = bytearray(dice.randbytes(32))
    version = "v2" if changed == "version" else "v1"
    return f"{version},{base64.b64encode(signature).decode()}"
