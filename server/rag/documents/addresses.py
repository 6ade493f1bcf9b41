"""Sources that are named by an address instead of being sent along: how such an address is written."""

import re
from dataclasses import dataclass
from typing import Any

from pipelines.sources.repository_address import REPOSITORY_PATTERN

_LONGEST = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressForm:
    """What an address of one source type looks like. The pattern is published: it says all that is checked."""

    pattern: str
    mistake: str


# Only how it is written. Where it leads is decided when it is fetched, by what its host means then.
ADDRESSES = {
    "url": AddressForm(
        pattern=r"^https?://[!\"$-.0->A-\[\]-~]+(?:[/?#][!-~]*)?$",
        mistake="Write the URL as https://host/path, without user and password, in ASCII as browsers copy it",
    ),
    "github": AddressForm(
        pattern=REPOSITORY_PATTERN,
        mistake="Write the repository as owner/name, owner/name@branch or owner/name@branch:folder",
    ),
}


def is_address(source_type: object) -> bool:
    return source_type in ADDRESSES


def checked_address(source_type: str, value: str) -> str:
    """Return `value`. Raises ValueError with what is wrong about it."""
    form = ADDRESSES[source_type]
    # Python's $ also matches before a line end; JSON Schema's does not.
    if re.fullmatch(form.pattern.removesuffix("$"), value) is None:
        raise ValueError(form.mistake)
    if len(value) > _LONGEST:
        raise ValueError(f"An address should have at most {_LONGEST} characters")
    return value


def branches() -> list[dict[str, Any]]:
    """Return, for the published schema, what holds beside each source type that is an address."""
    return [
        {
            "properties": {
                "source_type": {"const": name},
                "source": {"pattern": form.pattern, "maxLength": _LONGEST},
            },
            "required": ["source"],
        }
        for name, form in ADDRESSES.items()
    ]
