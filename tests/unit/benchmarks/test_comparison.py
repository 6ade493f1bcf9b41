"""Peers' figures count only where their vectors are those of the same model."""

import json

import numpy as np

from benchmarks.comparison import Outcome, judged, table
from benchmarks.peers.sample import SAMPLE, sampled

_OURS = np.eye(3, 8, dtype=np.float32)
_PRINTED = json.dumps({"chunks": 60, "seconds": 2.0, "chunks_per_second": 30.0})


def test_a_peer_with_our_vectors_gets_its_figure() -> None:
    """The length of a stored vector does not matter, its direction does."""
    assert judged("peer", _PRINTED, 2 * _OURS, _OURS) == Outcome(peer="peer", chunks_per_second=30.0)


def test_a_peer_of_another_model_is_refused() -> None:
    """One vector that points elsewhere is enough, and so are vectors that are no numbers."""
    turned, missing = _OURS.copy(), np.full_like(_OURS, np.nan)
    turned[2] = _OURS[1]
    for theirs in (turned, missing, _OURS[:2]):
        outcome = judged("peer", _PRINTED, theirs, _OURS)
        assert outcome.chunks_per_second is None
        assert outcome.reason.startswith("refused")


def test_the_ratio_is_of_our_mean_around_the_peers() -> None:
    """The machine drifts, so our runs before and after count alike; a missing peer says that it is."""
    outcomes = [Outcome(peer="one", chunks_per_second=20.0), Outcome(peer="two", reason="not installed")]
    _, before, one, two, after = table(40.0, 20.0, outcomes).splitlines()
    assert before.split()[-1] == "40.0"
    assert one.split() == ["one", "20.0", "1.50"]
    assert two.split(maxsplit=1) == ["two", "not installed"]
    assert after.split()[-1] == "20.0"


def test_samples_are_spread_over_all_chunks() -> None:
    """Few chunks are all compared; many are compared at even distances."""
    assert sampled(3) == [0, 1, 2]
    assert sampled(160) == list(range(0, 160, 10))
    assert len(set(sampled(SAMPLE + 1))) == SAMPLE
