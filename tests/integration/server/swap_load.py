"""A crowd that asks and posts without a pause, while the index under it is swapped."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from pipelines.embedding.hashed import HashEmbedder
from tests.integration.server.test_generations import generation_of
from tests.integration.server.test_query import QUERY, post

QUERIES_PER_SECOND = 50
FINE = {"strategy": "fixed", "chunk_tokens": 6, "overlap_tokens": 0}
EMBEDDERS = {"g1": HashEmbedder(), "g2": HashEmbedder(dimensions=128)}
WORDS = ["dome", "dusk", "pump", "noon", "kite", "wind", "lamp", "stair", "mirror", "meadow", "sea", "comet"]
QUESTIONS = [" ".join(pair) for pair in itertools.combinations(WORDS, 2)]


def text(number: int) -> str:
    return f"Note {number}: " + " ".join(WORDS[(number + step) % len(WORDS)] for step in range(9)) + " and so on."


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What it was answered, and which documents it was promised."""

    answered: list[tuple[str, httpx.Response]] = field(default_factory=list)
    posted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def failed(self) -> list[str]:
        return [response.text for _, response in self.answered if response.status_code != 200] + self.refused

    def answers(self) -> list[tuple[str, dict[str, Any]]]:
        return [(question, response.json()) for question, response in self.answered]

    def mixed(self) -> list[str]:
        return [question for question, answer in self.answers() if not is_of_one_space(question, answer)]

    def generations(self) -> list[str]:
        return [generation_of(answer) for _, answer in self.answers()]


@asynccontextmanager
async def crowd(clients: Sequence[httpx.AsyncClient], *, posts_per_second: float = 0) -> AsyncIterator[Crowd]:
    """Ask and post at a steady rate, of one API after another, however long an answer takes, while the block lasts."""
    found = Crowd()
    begun: set[asyncio.Task[None]] = set()

    async def ask(number: int) -> None:
        question = QUESTIONS[number % len(QUESTIONS)]
        body = {"query": question, "limit": 20, "explain": True}
        found.answered.append((question, await clients[number % len(clients)].post(QUERY, json=body)))

    async def promise(number: int) -> None:
        try:
            accepted = await post(clients[number % len(clients)], text(1_000 + number), external_id=f"load-{number}")
        except AssertionError as refusal:
            found.refused.append(str(refusal))
        else:
            found.posted.append(accepted["document_id"])

    async def steadily(one: Any, per_second: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, began + number / per_second - loop.time()))
            task = asyncio.create_task(one(number))
            begun.add(task)
            task.add_done_callback(begun.discard)

    steady = [asyncio.create_task(steadily(ask, QUERIES_PER_SECOND))]
    if posts_per_second:
        steady.append(asyncio.create_task(steadily(promise, posts_per_second)))
    try:
        yield found
    finally:
        for task in steady:
            task.cancel()
        await asyncio.gather(*steady, return_exceptions=True)
        await asyncio.gather(*begun)


def is_of_one_space(question: str, answer: dict[str, Any]) -> bool:
    """Whether every hit was cut and embedded by the generation that the answer names, and by no other."""
    embedder = EMBEDDERS[generation_of(answer)]
    asked = embedder.embed([question])[0]
    contents = [result["content"] for result in answer["results"]]
    cosines = embedder.embed(contents) @ asked if contents else np.empty(0)
    said = np.array([result["scores"]["vector"] for result in answer["results"]])
    longest = 6 if generation_of(answer) == "g2" else 40
    return bool(np.allclose(cosines, said, atol=1e-4)) and all(
        len(embedder.token_spans(content)) <= longest for content in contents
    )
