"""What is sealed opens here, in its place, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.envelope import PREFIX_BYTES, Envelope, SealBroken

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


@pytest.mark.parametrize("length", range(22))
def test_stumps_are_refused(length: int) -> None:
    """Too few bytes are a broken seal, not a crash."""
    with pytest.raises(SealBroken):
        ENVELOPE.open(ENVELOPE.seal(b"", purpose="p", place="row")[:length], purpose="p", place="row")


def test_macs_differ_by_message_purpose_and_key() -> None:
    """A signature is of one message, for one purpose, by one installation."""
    macs = {
        ENVELOPE.macs(b"m", purpose="a")[0],
        ENVELOPE.macs(b"n", purpose="a")[0],
        ENVELOPE.macs(b"m", purpose="b")[0],
        Envelope(bytes(32)).macs(b"m", purpose="a")[0],
    }
    assert len(macs) == 4


OLD, NEW = bytes(range(32)), bytes(range(1, 33))


def test_the_first_root_key_seals_and_all_open() -> None:
    """What was sealed under an earlier one opens as long as that is here; the name in front says which it is."""
    ring, old, new = Envelope(NEW, OLD), Envelope(OLD), Envelope(NEW)
    sealed = ring.seal(b"secret", purpose="p", place="row")
    assert sealed.startswith(ring.newest)
    assert ring.newest == new.newest != old.newest
    assert new.open(sealed, purpose="p", place="row") == b"secret"
    with pytest.raises(SealBroken):
        old.open(sealed, purpose="p", place="row")
    assert ring.open(old.seal(b"before", purpose="p", place="row"), purpose="p", place="row") == b"before"


def test_what_was_sealed_before_keys_had_names_opens() -> None:
    """Under whichever root key it is."""
    named = Envelope(OLD).seal(b"secret", purpose="p", place="row")
    nameless = b"\x01" + named[PREFIX_BYTES:]
    for envelope in (Envelope(OLD), Envelope(NEW, OLD), Envelope(OLD, NEW)):
        assert envelope.open(nameless, purpose="p", place="row") == b"secret"
    with pytest.raises(SealBroken):
        Envelope(NEW).open(nameless, purpose="p", place="row")


def test_a_new_root_key_counts_at_once() -> None:
    """Before the next seal, and when a seal is met whose key is not known yet; one that is gone opens to the end."""
    changes: list[tuple[bytes, ...]] = []
    envelope = Envelope(OLD, reread=lambda: changes.pop(0) if changes else None)
    before = envelope.seal(b"before", purpose="p", place="row")
    changes.append((NEW, OLD))
    assert envelope.open(Envelope(NEW).seal(b"new", purpose="p", place="r"), purpose="p", place="r") == b"new"
    changes.append((NEW,))
    assert Envelope(NEW).open(envelope.seal(b"x", purpose="p", place="r"), purpose="p", place="r") == b"x"
    assert envelope.open(before, purpose="p", place="row") == b"before"


def test_signatures_of_earlier_root_keys_are_recognised() -> None:
    """The newest comes first."""
    macs = Envelope(NEW, OLD).macs(b"m", purpose="a")
    assert macs == [Envelope(key).macs(b"m", purpose="a")[0] for key in (NEW, OLD)]


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_root_key_has_one_length(length: int) -> None:
    """Any other is no key."""
    with pytest.raises(ValueError, match="32 bytes"):
        Envelope(bytes(length))
