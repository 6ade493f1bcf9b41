"""What must be true of each stage's table, as Great Expectations suites. Imported lazily: the library takes seconds."""

import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

import dagster as dg
import polars as pl

# A function of `great_expectations.expectations`, so that naming a suite does not load the library.
Suite = Callable[[Any], list[Any]]

_NORM_TOLERANCE = 1e-3
_SAMPLES = 5
# Quotations and names are no reason to choose another embedder; a tenth of all texts is.
_MOST_FOREIGN = 0.1


def documents_suite(expect: Any) -> list[Any]:
    """Jobs and documents are identified, and no document is worked on twice at once."""
    return [
        expect.ExpectColumnValuesToNotBeNull(column="job_id"),
        expect.ExpectColumnValuesToBeUnique(column="job_id"),
        expect.ExpectColumnValuesToNotBeNull(column="tenant_id"),
        expect.ExpectColumnValuesToNotBeNull(column="document_id"),
        expect.ExpectColumnValuesToBeUnique(column="document_id"),
        expect.ExpectColumnValuesToBeBetween(column="revision", min_value=1),
        expect.ExpectColumnValuesToBeBetween(column="fence", min_value=1),
    ]


def chunks_suite(document_ids: Sequence[str], max_tokens: int) -> Suite:
    """Chunks belong to a document of this run, have their own place, say something, and fit the embedder."""

    def suite(expect: Any) -> list[Any]:
        return [
            expect.ExpectColumnValuesToNotBeNull(column="document_id"),
            expect.ExpectColumnValuesToBeInSet(column="document_id", value_set=list(document_ids)),
            expect.ExpectCompoundColumnsToBeUnique(column_list=["document_id", "revision", "position"]),
            expect.ExpectColumnValuesToBeBetween(column="position", min_value=0),
            expect.ExpectColumnValuesToMatchRegex(column="text", regex=r"\S"),
            expect.ExpectColumnValuesToBeBetween(column="tokens", min_value=1, max_value=max_tokens),
            expect.ExpectColumnValuesToBeBetween(column="start", min_value=0),
            expect.ExpectColumnPairValuesAToBeGreaterThanB(column_A="end", column_B="start"),
        ]

    return suite


def languages_suite(expect: Any) -> list[Any]:
    """Most chunks are in a language that the embedder of their index knows."""
    return [expect.ExpectColumnValuesToBeNull(column="foreign", mostly=1 - _MOST_FOREIGN)]


def vectors_suite(dimensions: Collection[int]) -> Suite:
    """Vectors have the dimensions of one of the run's spaces, are not zero, and of length one."""

    def suite(expect: Any) -> list[Any]:
        return [
            expect.ExpectColumnValuesToNotBeNull(column="norm"),
            expect.ExpectColumnValuesToBeBetween(
                column="norm", min_value=1 - _NORM_TOLERANCE, max_value=1 + _NORM_TOLERANCE
            ),
            expect.ExpectColumnValuesToBeInSet(column="dimensions", value_set=sorted(dimensions)),
        ]

    return suite


def coverage_suite(expect: Any) -> list[Any]:
    """What was counted is what was planned."""
    return [expect.ExpectColumnPairValuesToBeEqual(column_A="found", column_B="planned")]


def tail_suite(expect: Any) -> list[Any]:
    """No table has more rows outside its indexes than it may."""
    return [
        expect.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="most_unindexed_rows", column_B="unindexed_rows", or_equal=True
        )
    ]


def validate(table: pl.DataFrame, suite: Suite) -> dg.AssetCheckResult:
    """Hold `table` against `suite`; the metadata has each expectation with what was observed.

    No rows hold any expectation about rows: for an empty bucket the library is not even loaded.
    """
    if table.is_empty():
        return dg.AssetCheckResult(passed=True, metadata={"rows": 0})
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batches = context.data_sources.add_pandas("stage").add_dataframe_asset("table")
    batch = batches.add_batch_definition_whole_dataframe("run").get_batch(
        {"dataframe": table.to_pandas(use_pyarrow_extension_array=True)}
    )
    outcome = batch.validate(gx.ExpectationSuite(name="suite", expectations=suite(gx.expectations)))
    return dg.AssetCheckResult(
        passed=bool(outcome.success),
        metadata={"rows": table.height, "expectations": dg.MetadataValue.table(_records(outcome), _RECORD_SCHEMA)},
    )


_RECORD_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("expectation", "string"),
        dg.TableColumn("about", "string"),
        dg.TableColumn("passed", "bool"),
        dg.TableColumn("unexpected", "int"),
        dg.TableColumn("sample", "string"),
    ]
)


def _records(outcome: Any) -> list[dg.TableRecord]:
    return [_record(result) for result in outcome.results]


def _record(result: Any) -> dg.TableRecord:
    config = result.expectation_config
    about = {name: value for name, value in config.kwargs.items() if name not in {"batch_id", "value_set"}}
    sample = result.result.get("partial_unexpected_list", [])[:_SAMPLES]
    raised = [str(error.get("exception_message")) for error in _errors(result)]
    return dg.TableRecord(
        {
            "expectation": config.type,
            "about": ", ".join(f"{name}={value}" for name, value in about.items()),
            "passed": bool(result.success),
            "unexpected": int(result.result.get("unexpected_count", 0)),
            "sample": "; ".join(map(str, raised or sample)),
        }
    )


def _errors(result: Any) -> list[dict[str, Any]]:
    # An expectation that could not run says so here, either directly or once per metric.
    found = result.exception_info or {}
    parts = [found] if "raised_exception" in found else list(found.values())
    return [part for part in parts if part.get("raised_exception")]
