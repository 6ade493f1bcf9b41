"""TLS is to the name that was asked for, although the connection is to an address."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stores.egress import Allowance, Egress, Refused, Unreachable
from tests.fakes.resolver import ScriptedResolver
from tests.fakes.website import Website, answer, redirect, website

Certified = Callable[[str], ssl.SSLContext]


@pytest.fixture
def certified(tmp_path: Path) -> Certified:
    """Return what makes the context of a server with a certificate for a name, signed by itself."""

    def context_for(name: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (tmp_path / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
        return context

    return context_for


def egress(site: Website, trusted: Path | None) -> Egress:
    return Egress(
        allow=Allowance.of([site.place]),
        resolver=ScriptedResolver({"site.test": [["127.0.0.1"]]}),
        tls=ssl.create_default_context(cafile=trusted),
    )


async def test_the_certificate_is_for_the_name(certified: Certified, tmp_path: Path) -> None:
    """The site is asked by its name in TLS and in HTTP; its certificate holds although we connected to an address."""
    context = certified("site.test")
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)  # type: ignore[assignment]
    async with website({"/": answer("Hello")}, tls=context) as site:
        client = egress(site, tmp_path / "certificate.pem")
        assert (await client.fetch(f"https://site.test:{site.port}/")).content == b"Hello"
        assert asked == ["site.test"]
        assert site.asked[0].headers["host"] == f"site.test:{site.port}"


async def test_another_names_certificate_is_not_believed(certified: Certified, tmp_path: Path) -> None:
    """Nor is one that nobody we trust has signed; the sentence says that it is the certificate."""
    async with website({"/": answer("Hello")}, tls=certified("other.test")) as site:
        for trusted in (tmp_path / "certificate.pem", None):
            with pytest.raises(Unreachable, match="certificate"):
                await egress(site, trusted).fetch(f"https://site.test:{site.port}/")
        assert site.asked == []


async def test_no_redirect_leads_down_to_http(certified: Certified, tmp_path: Path) -> None:
    """Whoever asked for https is not sent on in the open."""
    async with website({"/": lambda _: redirect(f"http://site.test:{site.port}/")}, tls=certified("site.test")) as site:
        with pytest.raises(Refused, match="https to http"):
            await egress(site, tmp_path / "certificate.pem").fetch(f"https://site.test:{site.port}/")
