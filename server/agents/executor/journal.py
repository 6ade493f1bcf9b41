"""What an execution remembers of itself: the contract between the engine and where its steps are written down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from server.agents.flow.definition import Json, Node
from server.agents.nodes.base import Called, Usage, Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A node that ran to its end. It is never run again."""

    output: Json
    port: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a node, or the whole execution, failed. Neither field holds a secret."""

    code: str
    message: str

    def as_json(self) -> dict[str, Json]:
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What somebody who was waited for has said, or that the time ran out."""

    payload: Json = None
    expired: bool = False


@dataclass(slots=True, kw_only=True)
class Past:
    """What the journal knows of a path at which a node began before, and did not finish.

    `failures` counts attempts since the execution was last resumed; `fault` is the last word of a node that failed
    beyond its retries. `attempt` is the number that the next attempt has; `number`, that of a step still open.
    """

    attempt: int = 1
    failures: int = 0
    fault: Fault | None = None
    number: int | None = None
    wait: Waiting | None = None
    answer: Answer | None = None


@dataclass(slots=True, kw_only=True)
class Begun:
    """A step under way, as its journal knows it."""

    number: int
    path: str
    node: Node
    attempt: int
    started_at: datetime
    usage: Usage = field(default_factory=Usage)


class Journal(Protocol):
    """Writes are noted in their order and become durable in it; `settled` waits for all that was noted so far.

    Whatever raises LeaseLost means that another worker has the execution: stop without a trace.
    """

    @property
    def usage(self) -> Usage:
        """What all steps have used up, those before a crash included."""

    def finished(self, path: str) -> Finished | None: ...
    def past(self, path: str) -> Past | None: ...
    def called(self, path: str, name: str) -> Called | None: ...

    def begin(self, path: str, node: Node, past: Past | None) -> Begun: ...
    def complete(self, step: Begun, output: Json, port: str | None) -> Json:
        """Note the end of a step; return its output as it is written down, secrets redacted."""

    def fail(self, step: Begun, fault: Fault, *, last: bool, handled: bool, retry_at: datetime | None) -> None:
        """`last`: no attempt follows. `handled`: a fallback edge takes it from here. `retry_at`: when one follows."""

    def skip(self, path: str, node: Node) -> None: ...
    def wait(self, step: Begun, waiting: Waiting) -> None: ...
    def call(self, step: Begun, name: str, called: Called) -> Json:
        """Note what a call brought; return it as it is written down."""

    def tell(self, step: Begun, delta: str) -> None: ...
    def conceal(self, value: str) -> None:
        """Redact a secret from all that is written from now on."""

    def concealed(self, text: str) -> str:
        """Return `text` without the secrets that this run has seen."""

    async def settled(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    result: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    fault: Fault
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """Nothing can go on before somebody answers, more may be spent, or `until`."""

    until: datetime | None
    paths: Sequence[str] = ()
    needs_budget: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """The deadline passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhausted:
    """The budget is used up, and the execution was to fail then."""

    fault: Fault


Ending = Completed | Failed | Parked | Cancelled | Expired | Exhausted
