"""Everything Dagster is told about the platform. Importing this loads no model, no LanceDB, no Great Expectations."""

import dagster as dg

from assets.events.sensors import event_teller
from assets.generations.assets import index_generations
from assets.generations.checks import golden_questions
from assets.generations.sensors import BUILD_GENERATIONS, generation_builder
from assets.maintenance.assets import erased_documents, expired_records, index_maintenance
from assets.maintenance.schedules import MAINTAIN, nightly_maintenance
from assets.rag.assets import RAG_ASSETS
from assets.rag.checks import RAG_CHECKS
from assets.rag.jobs import INDEX_DOCUMENTS
from assets.rag.sensors import sweep
from assets.reporter import stream_reporter
from assets.resources import PlatformResource, StageTablesResource
from assets.secrets.sensors import secret_keeper
from assets.sources.assets import crawled_sources
from assets.sources.sensors import CRAWL_SOURCES, source_crawler


def definitions_with(platform: PlatformResource) -> dg.Definitions:
    """Return the definitions over `platform`; tests bring one with other parts."""
    return dg.Definitions(
        assets=[*RAG_ASSETS, index_maintenance, erased_documents, expired_records, index_generations, crawled_sources],
        asset_checks=[*RAG_CHECKS, golden_questions],
        jobs=[INDEX_DOCUMENTS, MAINTAIN, BUILD_GENERATIONS, CRAWL_SOURCES],
        schedules=[nightly_maintenance],
        sensors=[sweep, stream_reporter, generation_builder, source_crawler, event_teller, secret_keeper],
        resources={"platform": platform, "stage_tables": StageTablesResource(platform=platform)},
        # One process a run: a step's process would cost three seconds, and the run's leases live in it.
        executor=dg.in_process_executor,
    )


defs = definitions_with(PlatformResource())
