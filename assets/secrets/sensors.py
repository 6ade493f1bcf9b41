"""Tell of secrets that end, each warning once, and destroy what was deleted long enough ago."""

import asyncio

import dagster as dg

from assets.resources import PlatformResource


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells 30, 7 and 1 day before a secret expires, and when it has; destroys what was deleted long ago.",
)
def secret_keeper(platform: PlatformResource) -> dg.SkipReason:
    told, destroyed, forgotten, elsewhere = asyncio.run(_keep(platform))
    # Counts only: what Dagster stores names no secret.
    return dg.SkipReason(
        f"Told {told} ends of secrets, destroyed {destroyed} that were deleted, forgot those of {forgotten} tenants, "
        f"destroyed {elsewhere} values elsewhere."
    )


async def _keep(platform: PlatformResource) -> tuple[int, int, int, int]:
    async with platform.secret_keeper() as keeper:
        told = await keeper.tell_ends(), await keeper.destroy_deleted(), await keeper.forget_tenants()
        return *told, await keeper.destroy_elsewhere()
