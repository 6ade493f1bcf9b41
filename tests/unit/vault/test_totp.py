"""Codes as RFC 6238 computes them, and nothing that is not exactly a code."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault import totp

SECRET = b"12345678901234567890"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEP = totp.step_of(NOW)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    """The test vectors of RFC 6238, appendix B, last six digits."""
    moment = datetime.fromtimestamp(seconds, UTC)
    assert totp.code_at(SECRET, totp.step_of(moment)) == code
    assert totp.matching_step(SECRET, code, moment, after=0) == seconds // 30


@pytest.mark.parametrize(("drift", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_off(drift: int, accepted: bool) -> None:
    """Either way, and no more."""
    found = totp.matching_step(SECRET, totp.code_at(SECRET, STEP + drift), NOW, after=0)
    assert found == (STEP + drift if accepted else None)


def test_a_step_that_was_used_is_used_up() -> None:
    """And so are those before it."""
    code = totp.code_at(SECRET, STEP)
    assert totp.matching_step(SECRET, code, NOW, after=STEP - 1) == STEP
    assert totp.matching_step(SECRET, code, NOW, after=STEP) is None
    assert totp.matching_step(SECRET, totp.code_at(SECRET, STEP - 1), NOW, after=STEP) is None


@given(st.sampled_from([" {}", "{} ", "+{}", "-{}", "{}\n", "0{}", "{}0", "\0{}", "{}.0"]))
def test_what_is_not_exactly_six_digits_is_refused(form: str) -> None:
    """Spaces, signs, line ends, longer and shorter ones."""
    code = totp.code_at(SECRET, STEP)
    assert totp.matching_step(SECRET, form.format(code), NOW, after=0) is None
    assert totp.matching_step(SECRET, code[:-1], NOW, after=0) is None


@pytest.mark.parametrize("zero", ["٠", "०", "０", "𝟎"])
def test_digits_of_other_scripts_are_refused(zero: str) -> None:
    """A code is ASCII: one spelling, one code."""
    code = "".join(chr(ord(zero) + int(digit)) for digit in totp.code_at(SECRET, STEP))
    assert totp.matching_step(SECRET, code, NOW, after=0) is None


def test_the_uri_is_what_authenticators_read() -> None:
    """Label, secret and parameters survive names with spaces and colons."""
    uri = urlsplit(totp.otpauth_uri(SECRET, issuer="A B", account="a:b@example.test"))
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/A%20B%3Aa%3Ab%40example.test")
    assert parse_qs(uri.query) == {
        "secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"],
        "issuer": ["A B"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }


def test_recovery_codes_are_new_and_recognised() -> None:
    """Each is its own, none is taken for a code of a device."""
    codes = totp.new_recovery_codes() + totp.new_recovery_codes()
    assert len(set(codes)) == 2 * totp.RECOVERY_CODES
    assert all(totp.is_recovery_code(code) for code in codes)
    assert not any(totp.is_recovery_code(code) for code in ("492039", codes[0].upper(), codes[0] + "\n", ""))
    assert len(set(totp.hash_recovery_codes(codes))) == len(codes)


def test_secrets_are_all_different() -> None:
    """And as long as the hash."""
    secrets = {totp.new_secret() for _ in range(50)}
    assert ({len(secret) for secret in secrets}, len(secrets)) == ({20}, 50)
    assert totp.step_of(NOW + timedelta(seconds=30)) == STEP + 1
