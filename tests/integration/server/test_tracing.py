"""Spans as a collector of OpenTelemetry receives them; and nothing of it where none is named."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from core import tracing
from core.log import context
from tests.integration.server.running import running, settings_for

ROOT = Path(__file__).resolve().parents[3]
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(ThreadingHTTPServer):
    """Keeps every span that is posted to it."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Receiver)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def named(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.spans if span["name"] == name]


class _Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        posted = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
        for resource in posted.resource_spans:
            for span in [span for scope in resource.scope_spans for span in scope.spans]:
                attributes = {each.key: MessageToDict(each.value) for each in span.attributes}
                self.server.spans.append(
                    {
                        "name": span.name,
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "attributes": {key: next(iter(value.values())) for key, value in attributes.items()},
                        "failed": span.status.code == 2,
                        "events": len(span.events),
                    }
                )
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_request_is_a_span_of_its_callers_trace(
    database_url: str, tmp_path: Path, collector: Collector
) -> None:
    """Its question is a step of it; what is refused tells its status; what comes from nowhere begins a trace."""
    settings = settings_for(tmp_path, database_url).model_copy(update={"traces_endpoint": collector.address})
    async with running(settings) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:
            caller = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            asked = await client.post("/api/v1/rag/ingest", json={"source_type": "text", "source": "a secret"})
            refused = await client.get("/api/v1/rag/documents/nothing", headers=caller)
            twice = await client.get("/api/v1/auth/me", headers=[("traceparent", caller["traceparent"])] * 2)
    assert (asked.status_code, refused.status_code, twice.status_code) == (202, 404, 200)
    [of_caller] = collector.named("GET /api/v1/rag/documents/{document_id}")
    assert (of_caller["trace"], of_caller["parent"]) == (TRACE, PARENT)
    assert of_caller["attributes"]["http.response.status_code"] == "404"
    assert (of_caller["failed"], of_caller["events"]) == (False, 0)
    for begun in (*collector.named("POST /api/v1/rag/ingest"), *collector.named("GET /api/v1/auth/me")):
        assert (begun["parent"], begun["trace"] == TRACE) == ("", False)
    assert len(collector.spans) == 3
    assert "a secret" not in json.dumps(collector.spans)


async def test_steps_belong_to_their_trace_and_tell_no_text(collector: Collector) -> None:
    """A failure tells its kind alone, and the log has the trace's own id."""
    with (
        tracing.sending_to(collector.address, part="test"),
        pytest.raises(ValueError, match="whispered"),
        tracing.serving("GET", "/x", []),
        tracing.span("step", codexos__jobs=3) as tell,
    ):
        bound = context()["trace_id"]
        tell(codexos__hits=2)
        raise ValueError("whispered")
    await asyncio.sleep(0)
    [step], [request] = collector.named("step"), collector.named("GET /x")
    assert (step["parent"], step["trace"], request["trace"]) == (request["id"], bound, bound)
    assert step["attributes"] == {"codexos.jobs": "3", "codexos.hits": "2", "error.type": "ValueError"}
    assert (step["failed"], step["events"], request["failed"]) == (True, 0, True)
    assert "whispered" not in json.dumps(collector.spans)


def test_nothing_of_it_is_imported_where_no_collector_is_named() -> None:
    """Nor does a step cost more than a look: what stands for it is one and the same object."""
    script = (
        "import sys, server.wiring\nfrom core import tracing\n"
        "with tracing.sending_to('', part='api'), tracing.serving('GET', '/', []) as tell: tell(a=1)\n"
        "assert tracing.span('a') is tracing.span('b')\n"
        "ours = ('opentelemetry.sdk.trace', 'opentelemetry.exporter')\n"  # other parts of it are libraries' own
        "print([name for name in sys.modules if name.startswith(ours)])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_collector_without_the_libraries_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, and it says what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(RuntimeError, match="traces"), tracing.sending_to("http://127.0.0.1:9", part="api"):
        raise AssertionError("it began")
