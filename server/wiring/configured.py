"""Parts that are little more than their settings, for every process that needs them."""

from datetime import timedelta
from typing import TYPE_CHECKING

from core.clock import SystemClock
from core.settings import Settings
from pipelines.retrieval.rerank import Rerankings
from pipelines.retrieval.rerank_http import HttpReranker, RerankEndpoint
from pipelines.retrieval.rerank_sentences import SentenceReranker
from server.llm.base import ChatModel
from server.llm.openai import Endpoint, OpenAIChat
from server.ratelimit.limiter import RateLimiter
from stores.egress import Allowance, Egress
from stores.gcra import Gcra, LocalGcra, SoftCounter, microseconds
from stores.letterbox import Letterbox
from stores.sql.engine import Database

if TYPE_CHECKING:
    from redis.asyncio import Redis

# Answers that are being written at one time by a process; whoever comes then waits.
_MODEL_CONNECTIONS = 256


def operators_egress() -> Egress:
    """Return the way to what the operator named, wherever it stands: a model on this machine is an ordinary one."""
    return Egress(allow=Allowance.of(["0.0.0.0/0", "::/0"]), connections=_MODEL_CONNECTIONS)


def chat_models(settings: Settings, egress: Egress) -> dict[str, ChatModel]:
    """Return the language models of this installation, by name."""
    return {
        name: OpenAIChat(
            name,
            Endpoint(
                base_url=endpoint.base_url,
                model=endpoint.model,
                api_key=endpoint.api_key.get_secret_value() if endpoint.api_key else None,
            ),
            egress,
        )
        for name, endpoint in settings.chat_endpoints.items()
    }


def rate_limiter(settings: Settings, redis: "Redis") -> RateLimiter:
    """Return what counts requests, in Redis and by the plan."""
    exact = Gcra(redis)
    return RateLimiter(
        SoftCounter(exact, LocalGcra(microseconds), microseconds),
        exact=exact,
        authenticated=settings.rate_limit_authenticated_per_minute,
        unauthenticated=settings.rate_limit_unauthenticated_per_minute,
        plans=settings.rate_limit_plans,
    )


def rerankings(settings: Settings) -> Rerankings:
    """Return who reads the best passages again."""
    endpoint, timeout_seconds = settings.rerank_endpoint, settings.rerank_timeout_seconds
    if endpoint is None:
        return Rerankings(SentenceReranker, timeout_seconds=timeout_seconds)
    elsewhere = HttpReranker(
        RerankEndpoint(
            base_url=endpoint.base_url,
            model=endpoint.model,
            timeout_seconds=timeout_seconds,
            api_key=endpoint.api_key.get_secret_value() if endpoint.api_key else None,
        )
    )
    return Rerankings(lambda _: elsewhere, timeout_seconds=timeout_seconds)


def letterbox(settings: Settings, database: Database, clock: SystemClock) -> Letterbox:
    """Return where documents wait for whoever works on them."""
    return Letterbox(
        database,
        clock,
        lease=timedelta(seconds=settings.job_lease_seconds),
        sweep_after=timedelta(seconds=settings.sweep_after_seconds),
    )
