"""The suites notice what they are there to notice, and say what they saw."""

from typing import Any

import polars as pl
import pytest

from assets.rag.expectations import (
    Suite,
    chunks_suite,
    coverage_suite,
    documents_suite,
    languages_suite,
    tail_suite,
    validate,
    vectors_suite,
)

DOCUMENT = {"job_id": "j1", "tenant_id": "t", "document_id": "d1", "revision": 1, "fence": 1}
OTHER = {"job_id": "j2", "document_id": "d2"}
CHUNK = {"document_id": "d1", "revision": 1, "position": 0, "text": "a", "tokens": 1, "start": 0, "end": 1}
VECTOR = {"document_id": "d1", "norm": 1.0, "dimensions": 384}
LANGUAGE = {"document_id": "d1", "position": 0, "language": "en", "foreign": None}
COUNTS = {"document_id": "d1", "found": 2, "planned": 2}
TAIL = {"tenant_id": "t", "unindexed_rows": 10, "most_unindexed_rows": 10}
CHUNKS = chunks_suite(["d1", "d2"], max_tokens=10)
VECTORS = vectors_suite({384})


def refused(suite: Suite, *rows: dict[str, Any]) -> set[str]:
    """Return the expectations that did not hold."""
    result = validate(pl.DataFrame(list(rows)), suite)
    records = result.metadata["expectations"].records  # type: ignore[union-attr]
    names = {str(record.data["expectation"]) for record in records if not record.data["passed"]}
    assert result.passed == (not names)
    return names


@pytest.mark.parametrize(
    ("suite", "row"),
    [
        (documents_suite, DOCUMENT),
        (CHUNKS, CHUNK),
        (VECTORS, VECTOR),
        (languages_suite, LANGUAGE),
        (coverage_suite, COUNTS),
        (tail_suite, TAIL),
    ],
)
def test_sound_rows_pass(suite: Suite, row: dict[str, Any]) -> None:
    """Rows that are as they should be, and a table without any, hold every expectation."""
    assert refused(suite, row) == set()
    assert validate(pl.DataFrame([row]).clear(), suite).passed


@pytest.mark.parametrize(
    ("suite", "row", "fault", "expectation"),
    [
        (documents_suite, DOCUMENT, {"job_id": "j2"}, "expect_column_values_to_be_unique"),
        (documents_suite, DOCUMENT, OTHER | {"document_id": None}, "expect_column_values_to_not_be_null"),
        (
            documents_suite,
            DOCUMENT,
            {"document_id": "d2", "job_id": "j2", "revision": 0},
            "expect_column_values_to_be_between",
        ),
        (CHUNKS, CHUNK, {}, "expect_compound_columns_to_be_unique"),
        (CHUNKS, CHUNK, {"position": 1, "document_id": "stranger"}, "expect_column_values_to_be_in_set"),
        (CHUNKS, CHUNK, {"position": 1, "text": " \n"}, "expect_column_values_to_match_regex"),
        (CHUNKS, CHUNK, {"position": 1, "tokens": 11}, "expect_column_values_to_be_between"),
        (CHUNKS, CHUNK, {"position": 1, "tokens": 0}, "expect_column_values_to_be_between"),
        (CHUNKS, CHUNK, {"position": 1, "end": 0}, "expect_column_pair_values_a_to_be_greater_than_b"),
        (VECTORS, VECTOR, {"norm": 0.0}, "expect_column_values_to_be_between"),
        (VECTORS, VECTOR, {"norm": 1.002}, "expect_column_values_to_be_between"),
        (VECTORS, VECTOR, {"norm": float("nan")}, "expect_column_values_to_be_between"),
        (VECTORS, VECTOR, {"norm": None}, "expect_column_values_to_not_be_null"),
        (VECTORS, VECTOR, {"dimensions": 128}, "expect_column_values_to_be_in_set"),
        (languages_suite, LANGUAGE, {"language": "de", "foreign": "de"}, "expect_column_values_to_be_null"),
        (coverage_suite, COUNTS, {"found": 1}, "expect_column_pair_values_to_be_equal"),
        (
            tail_suite,
            TAIL,
            {"tenant_id": "u", "unindexed_rows": 11},
            "expect_column_pair_values_a_to_be_greater_than_b",
        ),
    ],
)
def test_fault_is_refused_by_its_expectation(
    suite: Suite, row: dict[str, Any], fault: dict[str, Any], expectation: str
) -> None:
    """One bad row beside a sound one fails exactly the expectation that is about it."""
    assert refused(suite, row, {**row, **fault}) == {expectation}


def test_refusal_shows_a_sample() -> None:
    """The record of a refused expectation has how many rows were unexpected, and some of their values."""
    result = validate(pl.DataFrame([{**VECTOR, "norm": 0.5}, VECTOR]), VECTORS)
    records = result.metadata["expectations"].records  # type: ignore[union-attr]
    [record] = [record.data for record in records if not record.data["passed"]]
    assert (record["about"], record["unexpected"], record["sample"]) == (
        "column=norm, min_value=0.999, max_value=1.001",
        1,
        "0.5",
    )
