"""One spelling for each address: two that differ in case or in Unicode composition are one person."""

import re
import unicodedata

LONGEST = 320
_SHAPE = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,255}")
# For the published document: a little narrower, since folding may make an address longer.
PATTERN = r"^[^\s@\x00-\x1f\x7f]{1,32}@[^\s@\x00-\x1f\x7f]{1,127}$"


def normalised(email: str) -> str | None:
    """Return the spelling that is stored and looked up: NFC, case folded; None for what is no address."""
    # Folding can undo the composition, so it stands between two.
    spelled = unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())
    return spelled if len(spelled) <= LONGEST and _SHAPE.fullmatch(spelled) else None
