"""wait_signal: wait until another system says something."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from core.clock import Clock
from server.agents.flow.definition import Json
from server.agents.nodes.base import Done, Effect, NodeConfig, Step, Waiting
from server.agents.nodes.human import EXPIRED, LONGEST_WAIT_SECONDS, until

RECEIVED = "received"


class WaitSignalConfig(NodeConfig):
    signal: str = Field(min_length=1, max_length=255, description="The name of the signal.")
    expires_after_seconds: float | None = Field(
        None, gt=0, le=LONGEST_WAIT_SECONDS, description="After so long it leaves by `expired`. Without it, it waits."
    )


class WaitSignal:
    """`clock` tells when the time for a signal has run out."""

    name: ClassVar[str] = "wait_signal"
    title: ClassVar[str] = "Signal"
    description: ClassVar[str] = (
        "Waits for a signal (`POST /agents/executions/{id}/signal`), also one that has come before. Leaves by "
        "`received`, or by `expired` if none came in time."
    )
    effect: ClassVar[Effect] = Effect.PURE
    config_model = WaitSignalConfig
    output_schema: ClassVar[Mapping[str, Json]] = {"description": "The signal's payload; null if none came in time."}
    raw_fields: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def ports(self, config: Mapping[str, Json]) -> frozenset[str]:
        return frozenset({RECEIVED, EXPIRED})

    async def run(self, step: Step[WaitSignalConfig]) -> Done | Waiting:
        if not step.has_waited:
            ends = until(self._clock, step.config.expires_after_seconds)
            return Waiting(kind="signal", name=step.config.signal, until=ends)
        if step.wait_expired:
            return Done(output=None, port=EXPIRED)
        return Done(output=step.answer, port=RECEIVED)
