"""A deprecated version says until when it answers, and from then on what answers instead."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, cast

import pytest
from sanic import Request
from sanic.response import HTTPResponse, empty

from core.clock import FrozenClock
from server.app.versions import adapted, until_sunset
from server.errors import VersionEnded
from server.openapi.versions import DEPRECATED, V0, DeprecatedVersion, Versions

SUCCESSOR = "/api/v1/rag/query"


def six_months_after(moment: datetime) -> datetime:
    """Return the same day six months on; none of our dates is a 31st."""
    month = moment.month + 6
    return moment.replace(year=moment.year + (month - 1) // 12, month=(month - 1) % 12 + 1)


@pytest.mark.parametrize("version", DEPRECATED, ids=lambda version: version.name)
def test_sunset_is_announced_six_months_before(version: DeprecatedVersion) -> None:
    """As the API reference promises."""
    assert version.sunset_at >= six_months_after(version.deprecated_at)


def test_headers_are_in_the_form_of_their_rfcs() -> None:
    """Deprecation is a structured date, Sunset an HTTP-date, and Link names the successor."""
    headers = V0.headers(SUCCESSOR)
    assert datetime.fromtimestamp(int(headers["deprecation"].removeprefix("@")), UTC) == V0.deprecated_at
    assert parsedate_to_datetime(headers["sunset"]) == V0.sunset_at
    assert headers["sunset"].endswith(" GMT")
    assert headers["link"] == f'<{SUCCESSOR}>; rel="successor-version"'


async def test_answers_until_its_last_second_and_then_no_more() -> None:
    """At the sunset itself it is gone."""
    clock = FrozenClock(V0.sunset_at - timedelta(seconds=1))

    async def handler(request: Request, **path: str) -> HTTPResponse:
        return empty()

    handle = until_sunset(handler, V0, successor=SUCCESSOR, clock=clock)
    request = cast(Any, None)
    assert (await handle(request)).status == 204
    clock.advance(timedelta(seconds=1))
    with pytest.raises(VersionEnded) as ended:
        await handle(request)
    assert ended.value.status == 410
    assert ended.value.details == {"successor": SUCCESSOR}


def test_versions_are_listed_with_their_dates() -> None:
    """The current one first."""
    current, v0 = Versions.of(DEPRECATED).versions
    assert (current.version, current.status, current.sunset_at) == ("v1", "current", None)
    assert (v0.version, v0.status, v0.successor, v0.sunset_at) == ("v0", "deprecated", "v1", V0.sunset_at)


def test_v0_has_what_the_reference_knew() -> None:
    """Each at the path that its successor has in v1."""
    from server.app.application import operations

    paths = {successor: operation.path for successor, operation in adapted(operations(), V0).items()}
    assert paths == {"/api/v1/rag/ingest": "/api/v0/rag/ingest", "/api/v1/rag/query": "/api/v0/rag/query"}
