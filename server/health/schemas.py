"""What the two questions are answered with."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from server.openapi.models import Answer

State = Literal["ok", "starting", "down"]


class Health(Answer):
    status: Literal["ok"] = "ok"


class Part(Answer):
    """`starting` ends by itself; `down` does not."""

    status: State
    seconds: float


class Readiness(Answer):
    """Ready means that every part is ok."""

    status: Literal["ready", "not_ready"]
    parts: dict[str, Part]


Condition = Literal["operational", "degraded", "down"]


class Component(Answer):
    name: str
    status: Condition
    since: datetime | None = Field(description="Since when it is so, as the process that answers has seen it.")
    latency_ms: float


class StatusPage(Answer):
    """`down` overall means that no request can be served; `degraded`, that some part of the service is missing."""

    status: Condition
    components: list[Component]
