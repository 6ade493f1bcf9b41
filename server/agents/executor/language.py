"""How the engine reads what authors wrote: templates and conditions, as the floor below understands them."""

from collections.abc import Mapping
from typing import Protocol

from server.agents.flow.definition import Json

Scope = Mapping[str, Json]


class Language(Protocol):
    def render(self, config: Json, scope: Scope) -> Json:
        """Return `config` with every template in it replaced by what it comes to. Raises CodexError."""

    def holds(self, condition: str, scope: Scope) -> bool:
        """Whether a condition is true. Raises CodexError."""
