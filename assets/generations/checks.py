"""Whether what is to answer finds what it should: the golden questions, as they were last asked of each generation."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from assets.generations.assets import index_generations
from assets.rag.plots import trend
from assets.resources import PlatformResource
from stores.generation_work import GenerationWork
from stores.sql.models import GenerationState

Evaluated = tuple[int, GenerationState, Mapping[str, Any]]

_COMPARED = (GenerationState.BUILDING, GenerationState.READY)


@dg.asset_check(asset=index_generations, blocking=False)
def golden_questions(platform: PlatformResource) -> dg.AssetCheckResult:
    """No generation that is waiting to be promoted finds less than the one that answers."""
    evaluated = asyncio.run(_evaluated(platform))
    worse = [f"{tenant} g{number}" for tenant, (number, state, found) in evaluated if _is_worse(state, found)]
    return dg.AssetCheckResult(
        passed=not worse,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "worse": ", ".join(worse),
            "by_set": dg.MetadataValue.table(_records(evaluated), _SCHEMA),
            "trend": _trend(evaluated),
        },
    )


async def _evaluated(platform: PlatformResource) -> list[tuple[str, Evaluated]]:
    async with platform.database() as database:
        work = GenerationWork(database, platform.clock)
        tenants = sorted({generation.tenant_id for generation in await work.following()})
        return [(tenant, found) for tenant in tenants for found in await work.evaluations(tenant)]


def _is_worse(state: GenerationState, evaluation: Mapping[str, Any]) -> bool:
    return state in _COMPARED and bool(evaluation.get("worse"))


def _records(evaluated: Sequence[tuple[str, Evaluated]]) -> list[dg.TableRecord]:
    return [
        dg.TableRecord(
            {
                "tenant": tenant,
                "generation": number,
                "against": evaluation["against"],
                "golden_set": each["name"],
                "questions": each["questions"],
                "recall": each["candidate"]["recall"],
                "recall_active": each["active"]["recall"],
                "ndcg": each["candidate"]["ndcg"],
                "ndcg_active": each["active"]["ndcg"],
                "worse": each["worse"],
            }
        )
        for tenant, (number, _, evaluation) in evaluated
        for each in evaluation.get("sets", ())
    ]


def _trend(evaluated: Sequence[tuple[str, Evaluated]]) -> dg.MarkdownMetadataValue:
    points = [point for _, (_, _, evaluation) in evaluated for point in evaluation.get("history", ())]
    points.sort(key=lambda point: point["at"])
    lines = {
        "recall@10": [point["recall"] for point in points],
        "nDCG@10": [point["ndcg"] for point in points],
    }
    return trend(lines, title="Golden questions, every time they were asked")


_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("tenant", "string"),
        dg.TableColumn("generation", "int"),
        dg.TableColumn("against", "int"),
        dg.TableColumn("golden_set", "string"),
        dg.TableColumn("questions", "int"),
        dg.TableColumn("recall", "float"),
        dg.TableColumn("recall_active", "float"),
        dg.TableColumn("ndcg", "float"),
        dg.TableColumn("ndcg_active", "float"),
        dg.TableColumn("worse", "bool"),
    ]
)
