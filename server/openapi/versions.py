"""The versions of the API: which one to build on, and until when the one before it answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal

from sanic import Request
from sanic.response import HTTPResponse

from server.openapi.answers import answered
from server.openapi.models import Answer
from server.openapi.registry import Operations

CURRENT = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeprecatedVersion:
    """A version that still answers, and says on every answer until when."""

    name: str
    deprecated_at: datetime
    sunset_at: datetime

    @property
    def prefix(self) -> str:
        return f"/api/{self.name}/"

    def headers(self, successor: str) -> dict[str, str]:
        """Return what tells a client to move to `successor`: RFC 9745, RFC 8594 and RFC 5829."""
        return {
            "deprecation": f"@{int(self.deprecated_at.timestamp())}",
            "sunset": format_datetime(self.sunset_at, usegmt=True),
            "link": f'<{successor}>; rel="successor-version"',
        }


V0 = DeprecatedVersion(
    name="v0",
    deprecated_at=datetime(2026, 11, 23, tzinfo=UTC),
    sunset_at=datetime(2027, 6, 1, tzinfo=UTC),
)
DEPRECATED = (V0,)


class VersionView(Answer):
    version: str
    status: Literal["current", "deprecated"]
    base_path: str
    deprecated_at: datetime | None = None
    sunset_at: datetime | None = None
    successor: str | None = None


class Versions(Answer):
    versions: list[VersionView]

    @classmethod
    def of(cls, deprecated: Iterable[DeprecatedVersion]) -> "Versions":
        current = VersionView(version=CURRENT, status="current", base_path=f"/api/{CURRENT}")
        older = [
            VersionView(
                version=each.name,
                status="deprecated",
                base_path=f"/api/{each.name}",
                deprecated_at=each.deprecated_at,
                sunset_at=each.sunset_at,
                successor=CURRENT,
            )
            for each in deprecated
        ]
        return cls(versions=[current, *older])


versions = Operations("versions")


@versions.operation("GET", "/api/versions", answers={200: Versions}, limited=False)
async def list_versions(request: Request) -> HTTPResponse:
    """List the versions of the API: the current one, and those that will end, with their dates."""
    return answered(Versions.of(DEPRECATED))
