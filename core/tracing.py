"""Spans of OpenTelemetry, for operators who name a collector. For all others nothing is made and nothing imported.

A span tells names and numbers of ours: no text of a user's, and of an error its kind alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from core import log

Attribute = str | int | float | bool
Tell = Callable[..., None]

# Nobody waits long for a collector, least of all a process that ends.
_EXPORT_SECONDS = 2.0


def _tell_nobody(**_attributes: Attribute) -> None:
    pass


_OFF: AbstractContextManager[Tell] = nullcontext(_tell_nobody)


class _Tracing:
    """What this process sends spans with; None while it sends none."""

    tracer: Any = None


@contextmanager
def sending_to(endpoint: str, *, part: str) -> Iterator[None]:
    """Send spans to the OTLP/HTTP address `endpoint` while the block runs, unless it is empty. What is left is sent at
    its end. Raises RuntimeError where the libraries are not installed."""
    if not endpoint:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise RuntimeError('CODEXOS_TRACES_ENDPOINT needs the extra "traces": pip install ".[traces]"') from error
    provider = TracerProvider(resource=Resource.create({"service.name": f"codexos-{part}"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_SECONDS)))
    before, _Tracing.tracer = _Tracing.tracer, provider.get_tracer("codexos")
    try:
        yield
    finally:
        _Tracing.tracer = before
        provider.shutdown()


def span(name: str, **attributes: Attribute) -> AbstractContextManager[Tell]:
    """Be one step of the trace that this task is part of; what is yielded tells more of it. Dots are written `__`."""
    return _OFF if _Tracing.tracer is None else _span(name, attributes, {})


def serving(method: str, route: str, traceparents: Sequence[str]) -> AbstractContextManager[Tell]:
    """Be the request: a step of the trace that its one `traceparent` header names, the first of a new one without."""
    return _OFF if _Tracing.tracer is None else _serving(method, route, traceparents)


@contextmanager
def _serving(method: str, route: str, traceparents: Sequence[str]) -> Iterator[Tell]:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": traceparents[0]} if len(traceparents) == 1 else {}
    parent = TraceContextTextMapPropagator().extract(carrier, Context())
    attributes = {"http.request.method": method, "http.route": route}
    with _span(f"{method} {route}", attributes, {"kind": SpanKind.SERVER, "context": parent}) as tell:
        trace_id = f"{get_current_span().get_span_context().trace_id:032x}"
        log.begin_context(**{**log.context(), "trace_id": trace_id})  # one id in the collector and in the log
        yield tell


@contextmanager
def _span(name: str, attributes: dict[str, Any], how: dict[str, Any]) -> Iterator[Tell]:
    from opentelemetry.trace import StatusCode

    # An exception's text may hold what a user wrote, or a secret.
    quiet = {"record_exception": False, "set_status_on_exception": False}
    with _Tracing.tracer.start_as_current_span(name, attributes=_dotted(attributes), **how, **quiet) as opened:

        def tell(*, failed: bool = False, **more: Attribute) -> None:
            opened.set_attributes(_dotted(more))
            if failed:
                opened.set_status(StatusCode.ERROR)

        try:
            yield tell
        except BaseException as error:
            tell(failed=getattr(error, "status", 500) >= 500, error__type=type(error).__name__)
            raise


def _dotted(attributes: dict[str, Attribute]) -> dict[str, Attribute]:
    return {name.replace("__", "."): value for name, value in attributes.items()}
