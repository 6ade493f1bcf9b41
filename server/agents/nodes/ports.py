"""What most node types have in common: no ports of their own, and every field a template."""

from collections.abc import Mapping
from typing import ClassVar

from server.agents.flow.definition import Json


class Portless:
    """Edges that lead out of such a node carry expressions, or none."""

    raw_fields: ClassVar[frozenset[str]] = frozenset()

    def ports(self, config: Mapping[str, Json]) -> frozenset[str]:
        return frozenset()
