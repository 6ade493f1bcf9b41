"""Models at endpoints that flows name themselves: asked like the installation's own, over the checked way out."""

import time
from collections import OrderedDict

from core.ids import TenantId
from server.llm.base import ChatModel
from server.llm.breaker import Breaker
from server.llm.openai import Endpoint, OpenAIChat
from stores.egress import Egress

_MOST_BREAKERS = 1024


class Endpoints:
    """A breaker for each tenant's endpoint: what one tenant does to a provider shuts nobody else out."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._breakers: OrderedDict[tuple[TenantId, str], Breaker] = OrderedDict()

    def model(self, tenant_id: TenantId, endpoint: Endpoint) -> ChatModel:
        """Return the model at `endpoint`. Nothing is connected to before it is asked."""
        place = (tenant_id, endpoint.base_url)
        breaker = self._breakers.setdefault(place, Breaker(time.monotonic))
        self._breakers.move_to_end(place)
        if len(self._breakers) > _MOST_BREAKERS:
            self._breakers.popitem(last=False)
        return OpenAIChat(endpoint.model, endpoint, self._egress, breaker=breaker)
