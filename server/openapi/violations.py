"""All faults that a model found, as JSON pointers (RFC 6901) and sentences, without what was sent."""

from pydantic import ValidationError

_SENTENCES = {"extra_forbidden": "Unknown field", "missing": "Field required"}


def violations_of(error: ValidationError) -> list[dict[str, str]]:
    """Return one {pointer, message} per fault, in the order of the model's fields."""
    return [
        {
            "pointer": "".join(f"/{_escape(str(part))}" for part in fault["loc"]),
            "message": _SENTENCES.get(fault["type"], fault["msg"].removeprefix("Value error, ")),
        }
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def _escape(token: str) -> str:
    return token.replace("~", "~0").replace("/", "~1")
