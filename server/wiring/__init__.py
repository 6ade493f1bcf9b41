"""Everything one serving process works with, made from the settings once and closed with it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import httpx
from sanic import Request

from core import log, tracing
from core.clock import SystemClock
from core.ids import new_id
from core.settings import Settings
from pipelines.embedding.catalogue import EmbedderCatalogue
from pipelines.parsing.jail import JailedParser
from server.agents.assembly import agents_wing
from server.agents.executions.following.service import Followers
from server.agents.executions.service import ExecutionService
from server.agents.flows.service import FlowService
from server.agents.schedules.service import ScheduleService
from server.audit.service import AuditTrail
from server.auth.api_keys.service import ApiKeys, KeyRing
from server.auth.authentication import Authentication
from server.auth.mfa.service import SecondFactor
from server.auth.sessions.access.service import AccessTokens
from server.auth.sessions.assembly import accounts
from server.auth.sessions.emails import normalised
from server.auth.sessions.passwords import Passwords
from server.auth.sessions.recovery.service import Recovery
from server.auth.sessions.registration.service import Registrations
from server.auth.sessions.service import Sessions
from server.auth.sessions.signing.service import SigningKeys
from server.auth.tenants.account_log import AccountLog
from server.auth.tenants.invitations.service import Invitations
from server.auth.tenants.service import Memberships, Tenants
from server.credentials.service import Credentials
from server.health.checks import checks
from server.health.service import HealthService
from server.middleware.rate_limit import address_of
from server.openapi.pagination import Cursors
from server.rag.answers.service import Answers
from server.rag.batches.service import BatchService
from server.rag.documents.chunks import StoredChunks
from server.rag.documents.service import DocumentService
from server.rag.generations.service import GenerationService
from server.rag.golden_sets.service import GoldenSetService
from server.rag.index_tags.service import TagService
from server.rag.jobs.service import JobService
from server.rag.previews.service import Previews
from server.rag.queries.service import Answering
from server.rag.query_index import QueryEmbedders, QueryIndexes
from server.rag.sources.service import SourceService
from server.ratelimit.limiter import RateLimiter, customer_of
from server.ratelimit.throttle import Throttle
from server.telemetry.embedder import TimedEmbedder
from server.telemetry.service import Telemetry
from server.webhooks.deliveries.service import DeliveryService
from server.webhooks.endpoints.service import EndpointService
from server.webhooks.events.service import EventService
from server.webhooks.inbound.service import PushService
from server.webhooks.sealing import PushSealing, Sealing
from server.wiring.configured import chat_models, letterbox, operators_egress, rate_limiter, rerankings
from stores.audit import AuditLog
from stores.blobs import BlobStore
from stores.egress import Admission, Allowance
from stores.gcra import Gcra
from stores.generation_work import GenerationWork
from stores.generations import Generations
from stores.golden_sets import GoldenSets
from stores.hints import Hints
from stores.idempotency import IdempotencyRecords
from stores.index_history import IndexHistory
from stores.lance import LanceStore
from stores.leases import Leases
from stores.members import Members
from stores.outbox import Outbox
from stores.redis import AGENTS, EVENTS, Bell, connect, connect_impatiently
from stores.sql.engine import Database
from vault.envelope import Envelope
from vault.open import open_envelope, open_safe

# A counter that takes longer than this is as good as away: every request waits for it. Less would mistake a busy
# moment of this process for an absence, and count twice.
_LIMITS_TIMEOUT_SECONDS = 0.5
# What an authenticator shows above its codes.
_ISSUER = "CodexOS"
_IDEMPOTENCY_KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the hall and the handlers reach through `request.app.ctx.parts`."""

    database: Database
    envelope: Envelope
    authentication: Authentication
    key_ring: KeyRing
    tenants: Tenants
    invitations: Invitations
    second_factor: SecondFactor
    sessions: Sessions
    registrations: Registrations
    recovery: Recovery
    signing_keys: SigningKeys
    client_address: Callable[[Request], str]
    rate_limiter: RateLimiter
    idempotency: IdempotencyRecords
    audit: AuditTrail
    documents: DocumentService
    batches: BatchService
    previews: Previews
    jobs: JobService
    chunks: StoredChunks
    answering: Answering
    answers: Answers
    generations: GenerationService
    golden_sets: GoldenSetService
    sources: SourceService
    index_tags: TagService
    webhook_endpoints: EndpointService
    webhook_deliveries: DeliveryService
    events: EventService
    pushes: PushService
    credentials: Credentials
    flows: FlowService
    schedules: ScheduleService
    executions: ExecutionService
    followers: Followers
    health: HealthService
    telemetry: Telemetry


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Open the stores and begin to load the model; close everything at the end of the block."""
    log.configure(level=settings.log_level)
    with tracing.sending_to(settings.traces_endpoint, part="api"):
        async with _opened(settings) as parts:
            yield parts


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Parts]:
    clock = SystemClock()
    database = Database(settings.sql_url)
    redis = connect(settings.redis_connection)
    limits = connect_impatiently(settings.redis_connection, timeout_seconds=_LIMITS_TIMEOUT_SECONDS)
    lance = LanceStore(settings.lance_path)
    embedders = QueryEmbedders(
        EmbedderCatalogue(
            settings.embedder,
            model_folder=settings.model_path,
            threads=settings.embedder_threads,
            endpoints=settings.embedding_endpoints,
            around=TimedEmbedder,
        )
    )
    embedders.configured.start()
    indexes = QueryIndexes(
        lance=lance,
        embedders=embedders,
        generations=Generations(database, clock),
        history=IndexHistory(database),
    )
    envelope = open_envelope(settings)
    cursors = Cursors(partial(envelope.macs, purpose="cursor"))
    audit = AuditLog(clock)
    events_bell = Bell(redis, "api", wakes=EVENTS)
    outbox = Outbox(clock, events_bell)
    documents = DocumentService(
        database=database,
        blobs=BlobStore(settings.blob_path.as_uri()),
        letterbox=letterbox(settings, database, clock),
        outbox=outbox,
        audit=audit,
        bell=Bell(redis, "api"),
        clock=clock,
        new_id=new_id,
        cursors=cursors,
    )
    parser = JailedParser(timeout_seconds=settings.parse_timeout_seconds, memory_bytes=settings.parse_memory_bytes)
    batches = BatchService(
        database=database,
        blobs=documents.blobs,
        letterbox=documents.letterbox,
        outbox=outbox,
        audit=audit,
        bell=documents.bell,
        clock=clock,
        new_id=new_id,
    )
    jobs = JobService(
        database=database,
        outbox=outbox,
        audit=audit,
        clock=clock,
        cursors=cursors,
        stopping=asyncio.Event(),
    )
    answering = Answering(indexes=indexes, rerankings=rerankings(settings))
    agents = agents_wing(
        database=database,
        blobs=BlobStore((settings.blob_path / "executions").as_uri()),
        outbox=outbox,
        bell=Bell(redis, "api", wakes=AGENTS),
        audit=audit,
        clock=clock,
        new_id=new_id,
        cursors=cursors,
    )
    keys, memberships = ApiKeys(database, clock), Memberships(database, clock)
    tenants = Tenants(
        database=database, clock=clock, audit=audit, memberships=memberships, new_id=new_id, cursors=cursors
    )
    signing_keys = SigningKeys(database, envelope, clock)
    tokens = AccessTokens(database, signing_keys, clock, public_url=settings.public_url)
    account_log = AccountLog(audit=audit, memberships=memberships)
    second_factor = SecondFactor(
        database=database, envelope=envelope, clock=clock, account_log=account_log, issuer=_ISSUER
    )
    people = accounts(
        database=database,
        envelope=envelope,
        clock=clock,
        new_id=new_id,
        audit=audit,
        account_log=account_log,
        tokens=tokens,
        passwords=Passwords(),
        second_factor=second_factor,
        memberships=memberships,
        throttle=lambda limit: Throttle(Gcra(limits), limit),
        proves_addresses=settings.smtp is not None,
    )
    followers = Followers(database, Hints(redis))
    to_models = operators_egress()
    async with httpx.AsyncClient(trust_env=False) as http, keys.writing_uses(), followers.running():
        try:
            yield Parts(
                database=database,
                envelope=envelope,
                authentication=Authentication(keys, memberships, tokens),
                tenants=tenants,
                invitations=Invitations(tenants=tenants, normalised=normalised),
                key_ring=KeyRing(database=database, clock=clock, audit=audit, new_id=new_id, cursors=cursors),
                second_factor=second_factor,
                sessions=people.sessions,
                registrations=people.registrations,
                recovery=people.recovery,
                signing_keys=signing_keys,
                client_address=lambda request: customer_of(address_of(request, settings.trusted_proxies)),
                rate_limiter=rate_limiter(settings, limits),
                idempotency=IdempotencyRecords(
                    database,
                    clock,
                    lease=timedelta(seconds=settings.idempotency_lease_seconds),
                    kept_for=_IDEMPOTENCY_KEPT_FOR,
                ),
                audit=AuditTrail(database, cursors),
                documents=documents,
                batches=batches,
                previews=Previews(parser=parser, indexes=indexes),
                jobs=jobs,
                chunks=StoredChunks(indexes=indexes),
                answering=answering,
                answers=Answers(answering=answering, models=chat_models(settings, to_models)),
                generations=GenerationService(
                    database=database,
                    generations=indexes.generations,
                    work=GenerationWork(database, clock),
                    golden_sets=GoldenSets(database),
                    embedders=embedders,
                    lance=lance,
                    leases=Leases(database, clock, timedelta(seconds=settings.job_lease_seconds)),
                    outbox=outbox,
                    audit=audit,
                    clock=clock,
                    new_id=new_id,
                    patience=timedelta(seconds=settings.promotion_wait_seconds),
                ),
                index_tags=TagService(database=database, indexes=indexes, audit=audit, clock=clock),
                sources=SourceService(
                    database=database,
                    members=Members(
                        database=database,
                        letterbox=documents.letterbox,
                        outbox=outbox,
                        clock=clock,
                        new_id=new_id,
                    ),
                    audit=audit,
                    clock=clock,
                    new_id=new_id,
                    folders=settings.source_folders,
                    secret_seal=PushSealing(envelope=envelope),
                ),
                pushes=PushService(
                    database=database,
                    sealing=PushSealing(envelope=envelope),
                    audit=audit,
                    clock=clock,
                    new_id=new_id,
                ),
                webhook_endpoints=EndpointService(
                    database=database,
                    admission=Admission(allow=Allowance.of(settings.egress_allow)),
                    sealing=Sealing(envelope=envelope),
                    outbox=outbox,
                    bell=events_bell,
                    audit=audit,
                    clock=clock,
                    new_id=new_id,
                    cursors=cursors,
                ),
                webhook_deliveries=DeliveryService(
                    database=database, bell=events_bell, audit=audit, clock=clock, new_id=new_id, cursors=cursors
                ),
                events=EventService(database=database),
                credentials=Credentials(
                    safe=open_safe(settings, database, envelope, clock, outbox=outbox),
                    second_factor=second_factor,
                    clock=clock,
                    cursors=cursors,
                ),
                flows=agents.flows,
                schedules=agents.schedules,
                executions=agents.executions,
                followers=followers,
                golden_sets=GoldenSetService(database=database, audit=audit, clock=clock, new_id=new_id),
                health=HealthService(
                    checks(
                        database,
                        redis,
                        lance_path=settings.lance_path,
                        embedder=lambda: embedders.configured.state,
                        dagster_answers=partial(
                            _answers, http, f"http://127.0.0.1:{settings.dagster_port}/server_info"
                        ),
                    )
                ),
                telemetry=Telemetry(database),
            )
        finally:
            await to_models.close()
            await parser.close()
            await redis.aclose()
            await limits.aclose()
            await database.dispose()


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    return (await http.get(url)).is_success
