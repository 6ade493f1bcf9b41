"""The one way out: every connection whose address a user can influence is opened here, to a checked address."""

from stores.egress.addresses import Address, Allowance, denial
from stores.egress.admission import Admission
from stores.egress.client import Egress, Limits, Received, Reply
from stores.egress.errors import EgressFailed, Refused, TimedOut, TooMuch, Unreachable
from stores.egress.resolver import Resolver, SystemResolver

__all__ = [
    "Address",
    "Admission",
    "Allowance",
    "Egress",
    "EgressFailed",
    "Limits",
    "Received",
    "Refused",
    "Reply",
    "Resolver",
    "SystemResolver",
    "TimedOut",
    "TooMuch",
    "Unreachable",
    "denial",
]
