"""One spelling for each address: two that differ in case or in Unicode composition are one person."""

import re
import unicodedata

LONGEST = 320
PATTERN = r"^[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,255}$"
_SHAPE = re.compile(PATTERN.replace("$", r"\Z"))


def normalised(email: str) -> str | None:
    """Return the spelling that is stored and looked up: NFC, case folded; None for what is no address."""
    # Folding can undo the composition, so it stands between two.
    spelled = unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())
    return spelled if len(spelled) <= LONGEST and _SHAPE.match(spelled) else None
