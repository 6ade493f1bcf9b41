"""Where a URL leads is asked when it is named: by every address of its host."""

import pytest

from stores.egress import Admission, Allowance, EgressFailed
from tests.fakes.resolver import ScriptedResolver

PUBLIC, INNER = "93.184.216.34", "10.1.2.3"
NAMES = {
    "public.example": [[PUBLIC, "2606:2800:220:1::1"]],
    "inner.example": [[INNER]],
    "both.example": [[PUBLIC, INNER]],
    "mapped.example": [["::ffff:10.1.2.3"]],
    "nat64.example": [["64:ff9b::a01:203"]],
    "meta.example": [["169.254.169.254"]],
    "rebinding.example": [[PUBLIC], [INNER]],
}


def admission(*allowed: str) -> Admission:
    return Admission(allow=Allowance.of(allowed), resolver=ScriptedResolver(NAMES))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://inner.example/", "private"),
        ("https://both.example/", "private"),
        ("https://mapped.example/", "IPv4-mapped"),
        ("https://nat64.example/", "NAT64"),
        ("https://meta.example/", "metadata"),
        ("https://nowhere.example/", "no address"),
        ("http://public.example/", "without encryption"),
        ("http://inner.example/", "private"),
        ("https://public.example:25/", "Port 25"),
        ("https://public.example:0/", "Port 0"),
        ("https://user@public.example/", "user or password"),
        ("ftp://public.example/", "Only http and https"),
        (f"https://{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}/", "longer than any"),
    ],
)
async def test_what_leads_inside_or_nowhere_is_refused(url: str, says: str) -> None:
    """With a sentence for whoever wrote it; one inner address among a host's is enough."""
    with pytest.raises(EgressFailed) as refused:
        await admission().check(url)
    assert says in refused.value.message


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://public.example/hooks", ()),
        ("https://public.example:8443/hooks", ()),
        ("http://inner.example/", ("10.0.0.0/8",)),
        ("http://inner.example:8080/", ("10.1.2.3:8080",)),
        ("https://both.example/", ("10.0.0.0/8",)),
    ],
)
async def test_what_leads_to_where_we_connect_is_let_through(url: str, allowed: tuple[str, ...]) -> None:
    """A public address by https; what the operator allows by http, too."""
    await admission(*allowed).check(url)


async def test_a_name_is_looked_up_anew_each_time() -> None:
    """What was let through once is not, when the name means something else."""
    asked = admission()
    await asked.check("https://rebinding.example/")
    with pytest.raises(EgressFailed):
        await asked.check("https://rebinding.example/")
