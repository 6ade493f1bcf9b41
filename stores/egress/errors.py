"""What can come in the way of a request, each with a sentence for the person who named the address."""

from core.errors import CodexError


class EgressFailed(CodexError):
    """There is no answer. Whoever asked turns it into an error of its own family."""

    code = "EGRESS_FAILED"


class Refused(EgressFailed):
    """We do not connect there, or do not follow there; nothing was sent to that address."""

    code = "EGRESS_BLOCKED"


class Unreachable(EgressFailed):
    """Nobody answers there, or not in HTTP."""


class TimedOut(EgressFailed):
    """The answer did not come, or did not end, in the time it was given."""


class TooMuch(EgressFailed):
    """The answer is longer than was asked for, as it is sent or unpacked."""
