"""What the two questions are answered with."""

from typing import Literal

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
