"""Templates and conditions as the engine asks for them."""

from collections.abc import Mapping

from server.agents.flow import conditions, templates
from server.agents.flow.definition import Json


class FlowLanguage:
    def render(self, config: Json, scope: Mapping[str, Json]) -> Json:
        return templates.render(config, scope)

    def holds(self, condition: str, scope: Mapping[str, Json]) -> bool:
        return conditions.holds(condition, scope)
