"""Which addresses we never connect to on behalf of a user.

An explicit table, from IANA's registries of special-purpose addresses: what the standard library takes for global has
changed between its releases.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_DENIED_4 = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by carriers",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "metadata of a cloud",
    "169.254.0.0/16": "link-local, metadata of clouds",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "multicast relays",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
# Global unicast is 2000::/3. Everything around it is denied as well, so that no range is safe for being unassigned.
_DENIED_6 = {
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::/96": "IPv4-compatible",
    "::ffff:0:0/96": "IPv4-mapped",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64",
    "100::/64": "discarded",
    "100:0:0:1::/64": "dummy",
    "::/3": "not global unicast",
    "2001::/32": "Teredo",
    "2001:2::/48": "benchmarks",
    "2001::/23": "protocol assignments",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "4000::/2": "not global unicast",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
    "8000::/1": "not global unicast",
}
DENIED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason) for network, reason in (_DENIED_4 | _DENIED_6).items()
)


def denial(address: Address) -> str | None:
    """Return what kind of address that is, if it is one we do not connect to."""
    for network, reason in DENIED:
        if address.version == network.version and address in network:
            return reason
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Addresses the operator permits in spite of the table: for tests, and for what stands in an intranet.

    A network without a port permits every port. It counts for addresses as connected to, whatever their name.
    """

    places: tuple[tuple[Network, int | None], ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        """Read `127.0.0.1:8080`, `10.1.0.0/16`, `[::1]:8080`, `fd00::/8`. Raises ValueError."""
        places = []
        for entry in entries:
            try:
                places.append(_place(entry.strip()))
            except ValueError as error:
                raise ValueError(
                    f"CODEXOS_EGRESS_ALLOW: {entry!r} is no address, network or address:port ({error})."
                ) from error
        return cls(places=tuple(places))

    def permits(self, address: Address, port: int) -> bool:
        return any(
            address.version == network.version and address in network and allowed in (None, port)
            for network, allowed in self.places
        )


def _place(entry: str) -> tuple[Network, int | None]:
    if entry.startswith("["):
        network, _, port = entry[1:].partition("]")
        return ip_network(network), _port(port.removeprefix(":")) if port else None
    if entry.count(":") == 1:
        network, _, port = entry.partition(":")
        return ip_network(network), _port(port)
    return ip_network(entry), None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError(f"{text!r} is not a port")
    return int(text)


def parse_address(text: str) -> Address:
    """Return an address as a resolver writes it; a zone, as in fe80::1%eth0, stays with it."""
    return ip_address(text)
