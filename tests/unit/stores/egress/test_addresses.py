"""Which addresses are denied, and what the operator can permit."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores.egress import Allowance, denial
from stores.egress.addresses import DENIED

INNER = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1
198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::8.8.8.8
64:ff9b:1::10.0.0.1 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
2002:7f00:1:: 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%eth0 fec0::1
ff02::1 1::1 4000::1 8000::1 c000::1 e000::1
"""
PUBLIC = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 172.15.255.255 172.32.0.0
192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450:4001::1 2400:cb00::1 2003::1
"""


@pytest.mark.parametrize("address", INNER.split())
def test_inner_and_special_addresses_are_denied(address: str) -> None:
    """Each range of the table has members, and they are denied with a word for what they are."""
    assert denial(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_addresses_are_not_denied(address: str) -> None:
    """The addresses next to the table's ranges are ordinary."""
    assert denial(ip_address(address)) is None


def test_both_ends_of_every_range_are_denied() -> None:
    """A range is denied as a whole."""
    ends = [end for network, _ in DENIED for end in (network.network_address, network.broadcast_address)]
    assert [str(end) for end in ends if denial(end) is None] == []


@settings(deadline=None)  # the machine may be busy
@given(st.ip_addresses(v=4))
def test_no_form_of_an_ipv4_address_in_ipv6_is_a_way_around(address: object) -> None:
    """Whatever carries an IPv4 address inside an IPv6 address is denied, the carried one public or not."""
    for prefix in ("::", "::ffff:", "::ffff:0:", "64:ff9b::", "64:ff9b:1::"):
        assert denial(ip_address(f"{prefix}{address}")) is not None


def test_an_allowance_is_for_its_address_and_port() -> None:
    """What is permitted is permitted by address, and where a port is named for this port only."""
    allow = Allowance.of(["127.0.0.1:8080", "10.1.0.0/16", "[::1]:9000", "fd00:1::/32"])
    asked = [
        ("127.0.0.1", 8080),
        ("127.0.0.1", 8081),
        ("127.0.0.2", 8080),
        ("10.1.2.3", 5),
        ("10.2.0.1", 80),
        ("::1", 9000),
        ("::1", 80),
        ("fd00:1::7", 443),
        ("::ffff:127.0.0.1", 8080),
    ]
    permitted = [allow.permits(ip_address(address), port) for address, port in asked]
    assert permitted == [True, False, False, True, False, True, False, True, False]


@pytest.mark.parametrize("entry", ["localhost", "127.0.0.1:http", "127.0.0.1:0", "10.0.0.1/8", "[::1]:70000", ""])
def test_an_allowance_that_means_nothing_is_refused(entry: str) -> None:
    """A name, a network with host bits or an impossible port stops the start instead of permitting something else."""
    with pytest.raises(ValueError, match="CODEXOS_EGRESS_ALLOW: '"):
        Allowance.of([entry])


def test_the_table_names_networks_of_both_families() -> None:
    """Everything outside global unicast is denied as a whole in IPv6."""
    assert {network.version for network, _ in DENIED} == {4, 6}
    assert ip_network("2000::/3") not in [network for network, _ in DENIED]
