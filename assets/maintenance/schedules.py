"""When the stores are cared for."""

import dagster as dg

from assets.maintenance.assets import erased_documents, expired_records, index_maintenance

MAINTAIN = dg.define_asset_job(
    "maintain",
    selection=dg.AssetSelection.assets(index_maintenance, erased_documents, expired_records),
    description="Compact, index, prune and reconcile every tenant's table; erase what was deleted; purge records.",
)

# At night, and not on the hour, when everybody's jobs start.
nightly_maintenance = dg.ScheduleDefinition(
    name="nightly_maintenance",
    job=MAINTAIN,
    cron_schedule="17 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
