"""What is sealed opens here, in its place, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.envelope import Envelope, SealBroken

ENVELOPE = Envelope(bytes(range(32)))


@given(st.binary(max_size=200), st.text(max_size=20), st.text(max_size=20))
def test_what_was_sealed_opens_again(plaintext: bytes, purpose: str, place: str) -> None:
    """Sealing and opening under the same purpose and place return the same bytes."""
    assert (
        ENVELOPE.open(ENVELOPE.seal(plaintext, purpose=purpose, place=place), purpose=purpose, place=place) == plaintext
    )


@given(st.binary(min_size=1, max_size=60), st.data())
def test_no_changed_bit_opens(plaintext: bytes, data: st.DataObject) -> None:
    """Every single flipped bit is noticed."""
    sealed = bytearray(ENVELOPE.seal(plaintext, purpose="p", place="row"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        ENVELOPE.open(bytes(sealed), purpose="p", place="row")


@pytest.mark.parametrize(("purpose", "place"), [("other", "row"), ("p", "other"), ("", "row"), ("p", "")])
def test_nothing_opens_in_another_place(purpose: str, place: str) -> None:
    """A row that was swapped with another does not open."""
    sealed = ENVELOPE.seal(b"secret", purpose="p", place="row")
    with pytest.raises(SealBroken):
        ENVELOPE.open(sealed, purpose=purpose, place=place)


def test_another_root_key_opens_nothing() -> None:
    """A copied database is of no use without the root key."""
    with pytest.raises(SealBroken):
        Envelope(bytes(32)).open(ENVELOPE.seal(b"secret", purpose="p", place="row"), purpose="p", place="row")


@pytest.mark.parametrize("length", range(14))
def test_stumps_are_refused(length: int) -> None:
    """Too few bytes are a broken seal, not a crash."""
    with pytest.raises(SealBroken):
        ENVELOPE.open(ENVELOPE.seal(b"", purpose="p", place="row")[:length], purpose="p", place="row")


def test_macs_differ_by_message_purpose_and_key() -> None:
    """A signature is of one message, for one purpose, by one installation."""
    macs = {
        ENVELOPE.mac(b"m", purpose="a"),
        ENVELOPE.mac(b"n", purpose="a"),
        ENVELOPE.mac(b"m", purpose="b"),
        Envelope(bytes(32)).mac(b"m", purpose="a"),
    }
    assert len(macs) == 4
