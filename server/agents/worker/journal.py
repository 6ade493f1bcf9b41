"""The journal of one execution: noted here at once, committed together with others' by the scribe."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from server.agents.executor.journal import Begun, Fault, Finished, Past
from server.agents.executor.memory import RETRY
from server.agents.flow.definition import Json, Node
from server.agents.nodes.base import Called, Waiting
from server.agents.worker.claimed import Batch, Claimed, Ended
from server.agents.worker.concealment import Concealment
from server.agents.worker.history import History, usage_json

# Outputs that are longer are kept beside the tables, one object however often the same one comes.
LONGEST_INLINE = 8 * 1024
# Pieces of text that come sooner after one another are one event.
_DELTA_SECONDS = 0.05


class SqlJournal:
    """`touch` asks the scribe to write; `urgent` is set where somebody waits for it."""

    def __init__(
        self, claimed: Claimed, history: History, now: Callable[[], datetime], touch: Callable[["SqlJournal"], None]
    ) -> None:
        self.claimed = claimed
        self.usage = history.usage
        self._history = history
        self._now = now
        self._touch = touch
        self._numbers = history.last_number
        self._seq = claimed.last_seq
        self._rows: dict[int, dict[str, Any]] = {}
        self._stored = set(history.open_numbers)
        self._batch: Batch | None = None
        self._writing: Batch | None = None
        self._failure: Exception | None = None
        self._concealment = Concealment()
        self._deltas: dict[int, tuple[Begun, str]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.is_ended = False
        if claimed.is_new:
            self._noting().started = True
            self._event("execution.started", {"status": "running", "version": claimed.flow_version})

    # What was.

    def finished(self, path: str) -> Finished | None:
        return self._history.finished.get(path)

    def past(self, path: str) -> Past | None:
        return self._history.pasts.get(path)

    def called(self, path: str, name: str) -> Called | None:
        return self._history.calls.get((path, name))

    # What is noted.

    def begin(self, path: str, node: Node, past: Past | None) -> Begun:
        again = past is not None and past.number is not None
        if past is not None and past.number is not None:
            number, past.number = past.number, None
        else:
            self._numbers += 1
            number = self._numbers
        attempt = 1 if past is None else past.attempt
        begun = Begun(number=number, path=path, node=node, attempt=attempt, started_at=self._now())
        self._rows[number] = {
            "path": path,
            "node_id": node.id,
            "node_type": node.type,
            "attempt": attempt,
            "state": "running",
            "port": None,
            "output": None,
            "output_blob": None,
            "error": None,
            "usage": None,
            "cost_micros": 0,
            "started_at": begun.started_at,
            "finished_at": None,
        }
        self._note_step(number)
        told: dict[str, Json] = {"path": path, "node_id": node.id, "type": node.type, "attempt": attempt}
        self._event("node.started", told | {"again": True} if again else told)
        return begun

    def complete(self, step: Begun, output: Json, port: str | None) -> Json:
        self._drain(step)
        text, clean = self._concealment.json(output)
        row = self._ended(step, "completed")
        row["port"] = port
        batch = self._noting()
        self._keep(row, "output", text, batch)
        batch.progressed = True
        told: dict[str, Json] = {"path": step.path, "node_id": step.node.id, "attempt": step.attempt}
        # A reader finds what is too long for an event at the step.
        told |= {"output": clean} if len(text) <= LONGEST_INLINE else {"output": None, "output_omitted": True}
        self._event("node.completed", told)
        return clean

    def fail(self, step: Begun, fault: Fault, *, last: bool, handled: bool, retry_at: datetime | None) -> None:
        self._drain(step)
        shown: dict[str, Json] = {"code": fault.code, "message": self._concealment.text(fault.message)}
        row = self._ended(step, "failed")
        row["error"] = json.dumps(shown | {"last": last, "handled": handled, "resumption": self.claimed.resumptions})
        self._noting().progressed = True
        told: dict[str, Json] = {"path": step.path, "node_id": step.node.id, "attempt": step.attempt}
        self._event("node.failed", told | {"error": shown, "will_retry": not last})
        if retry_at is not None:
            self._note_wait(step.path, Waiting(kind="time", name=RETRY, until=retry_at))

    def skip(self, path: str, node: Node) -> None:
        if path in self._history.skipped:
            return
        self._numbers += 1
        now = self._now()
        self._noting().new_steps[self._numbers] = {
            **_EMPTY_STEP,
            "path": path,
            "node_id": node.id,
            "node_type": node.type,
            "started_at": now,
            "finished_at": now,
        }

    def wait(self, step: Begun, waiting: Waiting) -> None:
        self._drain(step)
        self._rows[step.number]["state"] = "waiting"
        self._note_step(step.number)
        self._note_wait(step.path, waiting)

    def call(self, step: Begun, name: str, called: Called) -> Json:
        text, clean = self._concealment.json(called.result)
        row = {
            "path": step.path,
            "name": name,
            "result": None,
            "result_blob": None,
            "cost_micros": called.usage.cost_micros,
            "finished_at": self._now(),
        }
        batch = self._noting()
        self._keep(row, "result", text, batch)
        batch.calls.append(row)
        batch.progressed = True
        step.usage = step.usage + called.usage
        self.usage = batch.usage = self.usage + called.usage
        self._history.calls[step.path, name] = Called(result=clean, usage=called.usage)
        return clean

    def tell(self, step: Begun, delta: str) -> None:
        _, before = self._deltas.get(step.number, (step, ""))
        self._deltas[step.number] = (step, before + delta)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELTA_SECONDS, self._tell_all)

    def conceal(self, value: str) -> None:
        self._concealment.add(value)

    def concealed(self, text: str) -> str:
        return self._concealment.text(text)

    def concealed_json(self, value: Json) -> Json:
        return self._concealment.json(value)[1]

    def end(self, ended: Ended, event: str, told: dict[str, Json]) -> None:
        """Note that the execution is over, or waits. Nothing is noted after it."""
        if self._timer is not None:
            self._timer.cancel()
        self.is_ended = True
        self._event(event, told)
        self._noting().ended = ended

    async def settled(self) -> None:
        batch = self._batch or self._writing
        if self._failure is not None:
            raise self._failure
        if batch is None:
            return
        batch.urgent = True
        self._touch(self)
        await asyncio.shield(batch.done)

    # What the scribe asks.

    @property
    def is_urgent(self) -> bool:
        return self._batch is not None and self._batch.urgent

    def take(self) -> Batch | None:
        """Return all that is to be written, as one whole; None while what was taken before is not written."""
        if self._batch is None or self._writing is not None:
            return None
        self._writing, self._batch = self._batch, None
        self._writing.last_seq, self._writing.usage = self._seq, self.usage
        self._stored.update(self._writing.new_steps)
        return self._writing

    def written(self, failure: Exception | None = None) -> None:
        """What was taken is committed, or never will be."""
        batch, self._writing = self._writing, None
        if failure is not None:
            self._failure = failure
        for each in (batch, self._batch if failure is not None else None):
            if each is not None and not each.done.done():
                if failure is None:
                    each.done.set_result(None)
                else:
                    each.done.set_exception(failure)
                    each.done.exception()  # nobody need be waiting for it
        if failure is not None:
            self._batch = None
        elif self._batch is not None:
            self._touch(self)

    # Inside.

    def _noting(self) -> Batch:
        if self._failure is not None:
            raise self._failure
        if self._batch is None:
            self._batch = Batch(claimed=self.claimed, done=asyncio.get_running_loop().create_future())
        self._touch(self)
        return self._batch

    def _note_step(self, number: int) -> None:
        batch = self._noting()
        changes = number in self._stored
        (batch.changed_steps if changes else batch.new_steps)[number] = self._rows[number]

    def _ended(self, step: Begun, state: str) -> dict[str, Any]:
        # A copy: the one before may be on its way to the database.
        row = self._rows.pop(step.number) | {"state": state, "finished_at": self._now()}
        row["usage"], row["cost_micros"] = usage_json(step.usage), step.usage.cost_micros
        batch = self._noting()
        (batch.changed_steps if step.number in self._stored else batch.new_steps)[step.number] = row
        return row

    def _note_wait(self, path: str, waiting: Waiting) -> None:
        asked = {"schema": waiting.schema, "prompt": waiting.prompt}
        self._noting().waits[path] = {
            "path": path,
            "kind": waiting.kind,
            "name": waiting.name,
            "schema": self._concealment.json(asked)[0],  # type: ignore[arg-type]  # a mapping is a dict here
            "requested_at": self._now(),
            "expires_at": waiting.until,
        }

    def _keep(self, row: dict[str, Any], column: str, text: str, batch: Batch) -> None:
        if len(text) <= LONGEST_INLINE:
            row[column] = text
            return
        content = text.encode()
        row[f"{column}_blob"] = hashlib.sha256(content).hexdigest()
        batch.blobs.append(content)

    def _tell_all(self) -> None:
        self._timer = None
        if self._failure is None:
            for step, _ in list(self._deltas.values()):
                self._drain(step, goes_on=True)

    def _drain(self, step: Begun, *, goes_on: bool = False) -> None:
        if step.number not in self._deltas:
            return
        text = self._concealment.text(self._deltas.pop(step.number)[1])
        held_back = self._concealment.held_back if goes_on else 0
        if held_back:
            text, kept = text[:-held_back], text[-held_back:]
            self._deltas[step.number] = (step, kept)
        if text:
            self._event("node.delta", {"path": step.path, "node_id": step.node.id, "delta": text})

    def _event(self, event_type: str, data: dict[str, Json]) -> None:
        self._seq += 1
        row = {"seq": self._seq, "type": event_type, "data": self._dumped(data), "at": self._now()}
        self._noting().events.append(row)

    def _dumped(self, data: dict[str, Json]) -> str:
        return json.dumps(data, separators=(",", ":"))


_EMPTY_STEP: dict[str, Any] = {
    "attempt": 1,
    "state": "skipped",
    "port": None,
    "output": None,
    "output_blob": None,
    "error": None,
    "usage": None,
    "cost_micros": 0,
}
