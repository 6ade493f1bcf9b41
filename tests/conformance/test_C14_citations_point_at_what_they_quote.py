"""C14 (ragflow #7232, #8594): citations pointed elsewhere."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.website import Asked, answer, website
from tests.integration.server.running import running, settings_for

WORDS = ("dome", "dusk", "rain", "keeper", "lamp", "stair", "door", "glass", "stone", "river", "mirror", "engine")


def text(seed: int) -> str:
    chosen = random.Random(seed)
    return " ".join(f"{' '.join(chosen.choices(WORDS, k=7)).capitalize()}." for _ in range(12))


def confused(asked: Asked) -> bytes:
    """Answer as a model that mixes up its passages: right and wrong quotes, numbers that there are not."""
    told = json.loads(json.loads(asked.body)["messages"][1]["content"])
    chosen = random.Random(told["question"])
    said = ""
    for _ in range(12):
        quoted, named = chosen.choice(told["passages"]), chosen.randrange(0, len(told["passages"]) + 2)
        start = chosen.randrange(0, 200)
        quote = quoted["text"][start : start + 60]
        number = quoted["number"] if chosen.random() < 0.5 else named
        said += f"Something about {quote[:20]}.[[{number}|{quote if chosen.random() < 0.7 else quote[::-1]}]] "
    chunk = {"choices": [{"delta": {"content": said}, "finish_reason": "stop"}]}
    return answer(f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n", content_type="text/event-stream")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_C14_citations_point_at_what_they_quote(tmp_path: Path, database_url: str) -> None:
    """Of 40 answers by a model that mixes everything up, and 40 extractive ones, every citation's chunk was retrieved,
    and its quote stands in that chunk letter by letter."""
    async with website({"/v1/chat/completions": confused}) as site:
        endpoints = {"confused": {"base_url": f"{site.url}/v1", "model": "m"}}
        async with running(settings_for(tmp_path, database_url, chat_endpoints=endpoints)) as api:
            _, key = await api.tenant()
            async with api.client(key) as client:
                for seed in range(20):
                    body = {"source_type": "text", "source": text(seed)}
                    assert (await client.post("/api/v1/rag/ingest", json=body)).status_code == 202
                await api.work()
                cited = 0
                for seed in range(40):
                    for model in ("confused", "extractive"):
                        asked: dict[str, Any] = {
                            "query": " ".join(random.Random(seed).choices(WORDS, k=4)),
                            **{"model": model, "threshold": 0, "explain": True},
                        }
                        said = await client.post("/api/v1/rag/answer", json=asked)
                        assert said.status_code == 200, said.text
                        found = said.json()
                        retrieved = {result["metadata"]["chunk_id"]: result["content"] for result in found["results"]}
                        for citation in found["citations"]:
                            assert citation["quote"] in retrieved[citation["chunk_id"]]
                        cited += len(found["citations"])
                assert cited > 100
