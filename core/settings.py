"""Every setting of the platform, in one place. `.env.example` is generated from this file."""

import hashlib
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

# The kernel's limit on a unix socket's path is 108 bytes with its final NUL.
_SOCKET_PATH_BYTES = 107
# An index writer wants a second left on its lease when it begins; with less in all it would never begin.
_SHORTEST_LEASE_SECONDS = 2

Port = Annotated[int, Field(ge=1, le=65535)]


class EmbeddingEndpoint(BaseModel):
    """An endpoint that speaks OpenAI's embeddings API."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: Annotated[str, Field(pattern=r"^https?://")]
    model: Annotated[str, Field(min_length=1)]
    dimensions: Annotated[int, Field(ge=1, le=8192)]
    max_tokens: Annotated[int, Field(ge=32)] = 512
    languages: tuple[Annotated[str, Field(pattern=r"^[a-z]{2}$")], ...] = ()
    """Those that the model knows; none given is all."""
    api_key: SecretStr | None = None


class ChatEndpoint(BaseModel):
    """An endpoint that speaks OpenAI's chat completions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: Annotated[str, Field(pattern=r"^https?://")]
    model: Annotated[str, Field(min_length=1)]
    api_key: SecretStr | None = None


class RerankEndpoint(BaseModel):
    """An endpoint that speaks the `/rerank` of Cohere and Jina."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: Annotated[str, Field(pattern=r"^https?://")]
    model: Annotated[str, Field(min_length=1)]
    api_key: SecretStr | None = None


class HashicorpVault(BaseModel):
    """A HashiCorp Vault or an OpenBao with a key-value engine of version 2; one way to log in is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: Annotated[str, Field(pattern=r"^https?://")]
    mount: Annotated[str, Field(min_length=1)] = "secret"
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = "codexos"
    namespace: str | None = None
    ca_file: Path | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    transit_mount: Annotated[str, Field(min_length=1)] = "transit"
    transit_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] | None = None
    token: SecretStr | None = None
    role_id: str | None = None
    secret_id: SecretStr | None = None
    kubernetes_role: str | None = None

    @model_validator(mode="after")
    def _logs_in_one_way(self) -> Self:
        if sum(way is not None for way in (self.token, self.role_id, self.kubernetes_role)) != 1:
            raise ValueError("give one of token, role_id (with secret_id) and kubernetes_role")
        return self


class SmtpSettings(BaseModel):
    """A mail server that takes letters for anybody."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: Annotated[str, Field(min_length=1)]
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: Annotated[str, Field(pattern=r"^([^<>@\r\n]*<)?[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>?$")]
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Settings(BaseSettings):
    """Read once, in wiring; everything below is handed what it needs."""

    model_config = SettingsConfigDict(env_prefix="CODEXOS_", extra="ignore")

    environment: Environment = Field(
        Environment.DEVELOPMENT,
        description="development creates a tenant and a key by itself; production never.",
    )
    home: Path = Field(
        Path(".codexos"),
        description="Folder of all data: SQL, index, blobs, model, logs.",
    )
    http_host: str = Field("127.0.0.1", description="Address the API listens on.")
    http_port: Port = Field(8000, description="Port the API listens on.")
    http_workers: int = Field(2, ge=1, le=64, description="API processes.")
    dagster_port: Port = Field(3000, description="Port of the Dagster UI.")
    redis_url: str | None = Field(None, description="A Redis or Valkey server; empty starts the embedded one.")
    database_url: str | None = Field(
        None,
        description="SQLAlchemy URL, e.g. postgresql+asyncpg://user:password@host/name; empty is SQLite.",
    )
    root_key_file: Path | None = Field(
        None,
        description="File of root keys, 32 bytes in hex a line, the first seals; empty is root-key in the data folder.",
    )
    rate_limit_authenticated_per_minute: int = Field(
        100, ge=1, le=1_000_000_000, description="Requests a minute for each key or user in a tenant."
    )
    rate_limit_unauthenticated_per_minute: int = Field(
        20, ge=1, le=1_000_000_000, description="Requests a minute for each address without a valid credential."
    )
    rate_limit_plans: dict[str, Annotated[int, Field(ge=1, le=1_000_000_000)]] = Field(
        {}, description='Other limits a minute for tenants of a plan, as JSON: {"scale": 1000}.'
    )
    trusted_proxies: int = Field(
        0, ge=0, le=10, description="Proxies in front whose X-Forwarded-For is believed; 0 believes none."
    )
    public_url: str = Field("http://localhost:8000", description="Address clients use; the issuer of access tokens.")
    smtp: SmtpSettings | None = Field(
        None,
        description="Who sends mail to users, as JSON: "
        '{"host": "smtp.example.com", "sender": "CodexOS <codexos@example.com>", "username": "…", "password": "…"}; '
        "port 587 with STARTTLS unless it says otherwise. Empty: letters lie in the folder `mail` of the data folder, "
        "and whoever registers is believed their address.",
    )
    account_page: Annotated[str, Field(pattern=r"^https?://[^\s#]+$")] | None = Field(
        None,
        description="A page of yours that letters link to, the token behind a #; empty: they name the API.",
    )
    mail_lease_seconds: float = Field(
        120.0,
        gt=0,
        description="When a dispatcher is killed, the letter it was sending is sent again after this long.",
    )
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    traces_endpoint: str = Field(
        "",
        description="Where OpenTelemetry spans are sent: an OTLP/HTTP address such as "
        'http://localhost:4318/v1/traces. Empty: none are made. Needs the extra "traces".',
    )
    embedder: str = Field("local", description="Which embedder makes vectors; `local` needs no network.")
    embedder_threads: int = Field(2, ge=1, le=64, description="CPU threads one embedding call may use.")
    embedding_endpoints: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")], EmbeddingEndpoint] = Field(
        {},
        description='Embedders elsewhere, by name, as JSON: {"openai": {"base_url": "https://…/v1", "model": "…", '
        '"dimensions": 1536, "api_key": "…"}}.',
    )
    chat_endpoints: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")], ChatEndpoint] = Field(
        {},
        description="Language models that may answer questions, by name, as JSON: "
        '{"gpt": {"base_url": "https://…/v1", "model": "…", "api_key": "…"}}.',
    )
    rerank_endpoint: RerankEndpoint | None = Field(
        None,
        description="Who reranks instead of the built-in reranker, as JSON: "
        '{"base_url": "https://…/v1", "model": "…", "api_key": "…"}.',
    )
    rerank_timeout_seconds: float = Field(
        3.0, gt=0, le=60, description="A query that asks for reranking waits so long, and is then answered without."
    )
    index_retain_hours: float = Field(
        24.0, gt=0, description="How long every version of an index can be asked again, by `as_of`."
    )
    deleted_retain_hours: float = Field(
        24.0, ge=0, description="How long the bytes of a deleted document are kept before they are erased for good."
    )
    hashicorp_vault: HashicorpVault | None = Field(
        None,
        description="Who keeps the values of secrets instead of the platform's database, as JSON: "
        '{"address": "https://…:8200", "role_id": "…", "secret_id": "…"}.',
    )
    vault_undelete_hours: float = Field(
        168.0, ge=0, description="How long a deleted secret can be undeleted before it is destroyed for good."
    )
    promotion_tolerance: float = Field(
        0.02,
        ge=0,
        le=1,
        description="How much worse a new index may answer golden questions, in recall@10 and nDCG@10.",
    )
    promotion_wait_seconds: float = Field(
        15.0,
        ge=0,
        le=60,
        description="How long writers to the index may wait while a promotion lets the new index catch up with them.",
    )
    egress_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Inner addresses that may be fetched from, and told of events, all the same; also by plain http. "
        "E.g. 127.0.0.1:8080,10.1.0.0/16.",
    )
    operator_tenant: str | None = Field(
        None,
        description="The tenant, by its id, whose webhooks are told how Dagster's runs end. In development it is the "
        "tenant that `make up` makes.",
    )
    webhook_timeout_seconds: float = Field(
        15.0, gt=0, le=60, description="An endpoint that has not answered by then is tried again later."
    )
    webhook_lease_seconds: float = Field(
        45.0, gt=0, description="When a dispatcher is killed, what it was sending is sent again after this long."
    )
    webhooks_in_flight: int = Field(
        32,
        ge=1,
        le=1000,
        description="Deliveries one dispatcher sends at once; a killed one repeats no more than these.",
    )
    agents_in_flight: int = Field(
        256, ge=1, le=10_000, description="Executions that one process of agents runs at once; others wait their turn."
    )
    agents_per_tenant: int = Field(
        64, ge=1, le=10_000, description="Executions of one tenant that run at once, in all processes together."
    )
    agents_lease_seconds: float = Field(
        4.0,
        ge=1,
        le=300,
        description="When a process of agents is killed, others go on with its executions after this.",
    )
    source_folders: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Folders that sources of type folder may be in, e.g. file:///srv/documents,s3://bucket/prefix.",
    )
    github_url: Annotated[str, Field(pattern=r"^https?://")] = Field(
        "https://github.com", description="Where sources of type github are cloned from; GitHub Enterprise is another."
    )
    max_upload_bytes: int = Field(
        50 * 1024 * 1024,
        ge=1024,
        description="Longest accepted request body; more answers 413.",
    )
    parse_timeout_seconds: float = Field(20.0, gt=0, description="Wall clock for parsing one file, large or small.")
    parse_memory_bytes: int = Field(
        600_000_000,
        ge=400_000_000,
        description="Memory one parsing child may hold; the loaded parsers take some 230 MB of it.",
    )
    job_lease_seconds: float = Field(
        30.0,
        description="A job not heard of for this long is taken over by another worker; at least 2.",
    )
    job_max_attempts: int = Field(8, ge=1, description="Takes of one job before it is given up as failed.")
    idempotency_lease_seconds: float = Field(
        10.0,
        ge=1,
        description="A keyed request whose process gave no sign of life for this long may be tried again.",
    )
    sweep_after_seconds: float = Field(
        60.0,
        gt=0,
        description="A job waiting longer than this is swept up by the batch lane.",
    )

    @field_validator(
        "redis_url", "database_url", "root_key_file", "rerank_endpoint", "smtp", "account_page", mode="before"
    )
    @classmethod
    def _empty_is_unset(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("egress_allow", "source_folders", mode="before")
    @classmethod
    def _separated_by_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("job_lease_seconds")
    @classmethod
    def _long_enough_to_write(cls, value: float) -> float:
        # Written as a negation so that NaN is refused as well.
        if not value >= _SHORTEST_LEASE_SECONDS:
            raise PydanticCustomError(
                "lease_too_short",
                "A lease must last at least {seconds} seconds: a write to the index begins only with one second left",
                {"seconds": _SHORTEST_LEASE_SECONDS},
            )
        return value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        # LanceDB's async API takes a relative URI that starts with "db" for a cloud address.
        return value.expanduser().absolute()

    @property
    def root_key_path(self) -> Path:
        return self.root_key_file or self.home / "root-key"

    @property
    def sql_url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.home / 'codexos.sqlite3'}"

    @property
    def redis_socket(self) -> Path:
        """Where the embedded server listens: in the data folder, or in the temporary one if that is too deep."""
        socket = self.home / "redis.sock"
        if len(bytes(socket)) <= _SOCKET_PATH_BYTES:
            return socket
        name = hashlib.sha256(bytes(self.home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"codexos-{name}.sock"

    @property
    def redis_connection(self) -> str:
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def lance_path(self) -> Path:
        return self.home / "lance"

    @property
    def blob_path(self) -> Path:
        return self.home / "blobs"

    @property
    def model_path(self) -> Path:
        return self.home / "models"

    @property
    def dagster_path(self) -> Path:
        return self.home / "dagster"

    @property
    def mail_path(self) -> Path:
        return self.home / "mail"

    @property
    def log_path(self) -> Path:
        return self.home / "logs"

    @property
    def dev_api_key_file(self) -> Path:
        return self.home / "dev-api-key"
