"""A journal that lives in memory: for runs that nobody resumes, and for tests that crash where they like."""

from collections.abc import Callable, Mapping
from datetime import datetime

from server.agents.executor.journal import Answer, Begun, Fault, Finished, Past
from server.agents.flow.definition import Json, Node
from server.agents.nodes.base import Called, Usage, Waiting

Told = Callable[[str, Mapping[str, Json]], None]


class MemoryJournal:
    """Everything is settled as soon as it is noted. `told` hears of events."""

    def __init__(self, now: Callable[[], datetime], told: Told | None = None) -> None:
        self.usage = Usage()
        self.outputs: dict[str, Finished] = {}
        self.pasts: dict[str, Past] = {}
        self.calls: dict[tuple[str, str], Called] = {}
        self._now = now
        self._told = told
        self._numbers = 0

    def finished(self, path: str) -> Finished | None:
        return self.outputs.get(path)

    def past(self, path: str) -> Past | None:
        return self.pasts.get(path)

    def called(self, path: str, name: str) -> Called | None:
        return self.calls.get((path, name))

    def begin(self, path: str, node: Node, past: Past | None) -> Begun:
        self._numbers += 1
        attempt = 1 if past is None else past.attempt
        step = Begun(number=self._numbers, path=path, node=node, attempt=attempt, started_at=self._now())
        self._say("node.started", step)
        return step

    def complete(self, step: Begun, output: Json, port: str | None) -> Json:
        self.outputs[step.path] = Finished(output=output, port=port)
        self._say("node.completed", step, output=output)
        return output

    def fail(self, step: Begun, fault: Fault, *, last: bool, handled: bool, retry_at: datetime | None) -> None:
        past = self.pasts.setdefault(step.path, Past())
        past.attempt, past.failures = step.attempt + 1, past.failures + 1
        past.fault = fault if last else None
        past.wait = None if retry_at is None else Waiting(kind="time", name=RETRY, until=retry_at)
        past.answer = None
        self._say("node.failed", step, error=fault.as_json(), will_retry=not last)

    def skip(self, path: str, node: Node) -> None: ...

    def wait(self, step: Begun, waiting: Waiting) -> None:
        past = self.pasts.setdefault(step.path, Past())
        past.attempt, past.wait, past.answer = step.attempt, waiting, None

    def answer(self, path: str, payload: Json) -> None:
        """Let the node at `path` go on with what it waited for."""
        self.pasts[path].answer = Answer(payload=payload)

    def call(self, step: Begun, name: str, called: Called) -> Json:
        self.calls[step.path, name] = called
        step.usage = step.usage + called.usage
        self.usage = self.usage + called.usage
        return called.result

    def tell(self, step: Begun, delta: str) -> None:
        self._say("node.delta", step, delta=delta)

    def conceal(self, value: str) -> None: ...

    def concealed(self, text: str) -> str:
        return text

    async def settled(self) -> None: ...

    def forget_failures(self) -> None:
        """Begin anew where it failed, as after a resumption."""
        for past in self.pasts.values():
            past.failures, past.fault = 0, None

    def _say(self, event: str, step: Begun, **data: Json) -> None:
        if self._told is not None:
            self._told(event, {"path": step.path, "node_id": step.node.id, "attempt": step.attempt, **data})


# The name under which a node waits for its next attempt.
RETRY = "$retry"
