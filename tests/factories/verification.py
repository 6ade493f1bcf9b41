"""The API reference's way of verifying a webhook, as it stands there."""

import hashlib
import hmac


def verify_webhook(payload: str, signature: str, secret: str) -> bool:
    expected = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)
