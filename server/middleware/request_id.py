"""Give every request an id, the client's own if it is sane, and put it on the answer."""

import re

from sanic import Request
from sanic.response import BaseHTTPResponse

from core.ids import new_id
from server.errors import request_id_of

HEADER = "x-request-id"

_SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def begin(request: Request) -> None:
    given = request.headers.getall(HEADER, [])
    sane = len(given) == 1 and _SANE.fullmatch(given[0])
    request.ctx.request_id = given[0] if sane else new_id()


def finish(request: Request, response: BaseHTTPResponse) -> None:
    response.headers[HEADER] = request_id_of(request)
