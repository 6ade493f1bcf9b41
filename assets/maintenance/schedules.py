"""When the index is cared for."""

import dagster as dg

from assets.maintenance.assets import index_maintenance

MAINTAIN_INDEX = dg.define_asset_job(
    "maintain_index",
    selection=dg.AssetSelection.assets(index_maintenance),
    description="Compact, index, prune and reconcile every tenant's table.",
)

# At night, and not on the hour, when everybody's jobs start.
nightly_maintenance = dg.ScheduleDefinition(
    name="nightly_maintenance",
    job=MAINTAIN_INDEX,
    cron_schedule="17 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
