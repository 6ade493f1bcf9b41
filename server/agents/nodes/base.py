"""What a node type is to those who list, check and run it: the contract of the registry."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from core.errors import CodexError
from core.ids import TenantId
from server.agents.flow.definition import Json

# Fields of a configuration that every type has besides its own.
MAX_RETRIES = 10


class Effect(StrEnum):
    """What running a node twice would do.

    PURE nodes and READ nodes may begin before the journal has what went before them; CALL nodes may not.
    """

    PURE = "pure"
    READ = "read"
    CALL = "call"


class Retry(BaseModel):
    """Waits between attempts grow from `delay_seconds` by `factor` up to `max_delay_seconds`, each with full jitter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempts: int = Field(default=1, ge=1, le=MAX_RETRIES)
    delay_seconds: float = Field(default=1.0, ge=0, le=3600)
    factor: float = Field(default=2.0, ge=1, le=10)
    max_delay_seconds: float = Field(default=60.0, ge=0, le=86400)


class NodeConfig(BaseModel):
    """What every node may be told. A node type adds its own fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    retry: Retry = Retry()
    timeout_seconds: float = Field(default=60.0, gt=0, le=86400)


class SecretReference(BaseModel):
    """`{"$secret": "openai_api_key"}`: stands for a value that only the outbound call sees."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    key: str = Field(alias="$secret", min_length=1, max_length=255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a step used up. `cost_micros` is in millionths of the currency that prices are set in."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0
    cost_micros: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            calls=self.calls + other.calls,
            cost_micros=self.cost_micros + other.cost_micros,
        )


class NodeFailed(CodexError):
    """A node could not do its work. `code` is for programs, the message for people; neither may hold a secret."""

    def __init__(self, message: str, *, code: str = "NODE_FAILED", retriable: bool = False) -> None:
        super().__init__(message)
        self.node_code = code
        self.retriable = retriable


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A node's output, and the port by which it leaves; None: by all its edges whose conditions hold."""

    output: Json
    port: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Nothing more to do until somebody answers or signals, or `until`. The executor wakes the node with `answer`."""

    kind: str  # "person" | "signal" | "time"
    name: str
    until: datetime | None = None
    schema: Mapping[str, Json] | None = None
    prompt: Json = None


Outcome: TypeAlias = Done | Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What one journalled call brought, and what it cost."""

    result: Json
    usage: Usage = field(default_factory=Usage)


Config = TypeVar("Config", bound=NodeConfig)
ConfigOfStep = TypeVar("ConfigOfStep", bound=NodeConfig, covariant=True)


class Step(Protocol[ConfigOfStep]):
    """One attempt at one node, as the executor hands it to the node type's `run`."""

    @property
    def tenant_id(self) -> TenantId: ...
    @property
    def execution_id(self) -> str: ...
    @property
    def path(self) -> str:
        """Where it runs: `triage`, or `each/3/classify` inside of others. Unique within the execution."""

    @property
    def attempt(self) -> int: ...
    @property
    def config(self) -> ConfigOfStep:
        """The configuration with its templates rendered, validated. Secret references are still references."""

    @property
    def scope(self) -> Mapping[str, Json]:
        """What templates and conditions see: `input`, `context`, `nodes.<id>.output`, in bodies `item`, `index`."""

    @property
    def inputs(self) -> Sequence[Json]:
        """Outputs of the nodes whose edges led here, in the order of the edges."""

    @property
    def effect_key(self) -> str:
        """The same for every attempt and after every crash: what receivers are told to do once."""

    @property
    def answer(self) -> Json:
        """What it waited for: the person's answer, the signal's payload; None before, and if the time ran out."""

    @property
    def has_waited(self) -> bool:
        """Whether this node has returned Waiting before and is now awake again."""

    @property
    def wait_expired(self) -> bool: ...

    async def call(self, name: str, ask: Callable[[str], Awaitable[Called]]) -> Json:
        """Return the result of `ask(key)`, which is journalled under `name` and not asked again after a crash.

        Everything before it is durable when `ask` begins. `key` is stable: pass it on as an idempotency key.
        The cost is reserved and settled against the execution's budget. Names are unique within the node.
        """

    def tell(self, delta: str) -> None:
        """Let followers of the execution have a piece of text now (a `node.delta` event, coalesced)."""

    async def secret(self, reference: SecretReference, host: str) -> str:
        """Return the secret's value for a call to `host`. Raises NodeFailed. Redacted from all that is written."""

    async def subflow(self, flow_id: str, version: int | None, input: Json, name: str = "") -> Json:
        """Run another flow to its end as part of this execution, its steps below this path, and return its result.

        Raises NodeFailed as that flow failed.
        """


class NodeType(Protocol[Config]):
    """One entry of the registry. Instances are made once, in wiring, with what they need to reach the world."""

    name: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    effect: ClassVar[Effect]
    config_model: type[Config]
    # JSON Schema of the output, for people and for checking that ports fit.
    output_schema: ClassVar[Mapping[str, Json]]
    # Fields whose strings are not rendered as templates before `run` (conditions; bodies of map and loop).
    raw_fields: ClassVar[frozenset[str]]

    def ports(self, config: Mapping[str, Json]) -> frozenset[str]:
        """Names of the ports that this configuration leads out by; empty: edges carry expressions instead."""

    async def run(self, step: Step[Config]) -> Outcome:
        """Do the work. Raises NodeFailed; anything else is a fault of ours."""


# Node types by name, in the order in which they are listed. Their configurations differ: hence Any.
Registry: TypeAlias = Mapping[str, NodeType[Any]]
