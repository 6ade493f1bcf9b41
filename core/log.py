"""Structured logs: a stable event name and fields; one JSON object a line, or coloured text on a terminal.

What looks like a credential is taken out of every line, whoever wrote it.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, cast

import structlog

from core.redaction import redact_event, redacted_text

# What every line of a task tells besides its own fields. One variable, because each costs something in every request.
_CONTEXT: ContextVar[Mapping[str, str]] = ContextVar("log_context", default={})  # noqa: B039 - nobody changes a Mapping


def configure(*, level: str = "INFO", json_lines: bool | None = None) -> None:
    """Set up logging for this process; `json_lines=None` decides by whether stderr is a terminal."""
    as_json = not sys.stderr.isatty() if json_lines is None else json_lines
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    processors: list[Any] = [
        _with_context,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact_event,
    ]
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _adopt_libraries(processors, renderer)


def _adopt_libraries(processors: list[Any], renderer: Any) -> None:
    """Write what libraries log as our own lines; a process that set up their logging by itself keeps it."""
    if logging.root.handlers:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact_event, renderer],
        )
    )
    logging.root.addHandler(handler)
    sys.excepthook = _log_the_end


def _log_the_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    # The interpreter would write the traceback as it is, and the error's text with it.
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        sys.stderr.write(redacted_text("".join(traceback.format_exception(kind, error, trace))))


def get_logger(**fields: Any) -> structlog.typing.FilteringBoundLogger:
    """Return a logger with `fields` bound."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(**fields))


def begin_context(**fields: str) -> None:
    """Put `fields` on every line that this task and those it starts write from now on, and no others."""
    _CONTEXT.set(fields)


def context() -> Mapping[str, str]:
    """Return what is on every line of this task."""
    return _CONTEXT.get()


def _with_context(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**_CONTEXT.get(), **event}


def current_request_id() -> str | None:
    """Return the id of the request this task works for, None outside of one."""
    return _CONTEXT.get().get("request_id")


@contextmanager
def may_fail(doing: str) -> Iterator[None]:
    """Mark best effort: whatever fails inside is logged with what was being done, and swallowed."""
    try:
        yield
    except Exception as error:
        get_logger().warning("best_effort.failed", doing=doing, error=repr(error))
