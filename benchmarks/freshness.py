"""How long after its POST began a one-page text is found by a query, over HTTP, whole system.

python -m benchmarks.freshness [--posts 40]
"""

import argparse
import asyncio
import time

import httpx

from benchmarks.machine import heading, quantile
from benchmarks.system import installation, system

AIM_P50_SECONDS = 1.0


def one_page(number: int) -> str:
    """Return about 350 words, one page, that no other number's page equals."""
    paragraph = (
        f"Report {number} on the northern reservoir. The level stood at {number * 7 % 97} metres at dawn and the "
        f"keeper of valve {number * 13 % 89} noted a slow fall towards noon. Samples went to laboratory {number % 11}, "
        "which found the water clear and within all limits. Two visitors asked for the old map of the dam. "
    )
    return f"Codeword zanzibar{number}.\n\n" + "\n\n".join([paragraph] * 6)


async def seconds_until_found(client: httpx.AsyncClient, number: int) -> float:
    """Post one page, ask for its codeword until it is the first answer, return the seconds that took."""
    began = time.perf_counter()
    body = {"source_type": "text", "source": one_page(number), "external_id": f"page-{number}"}
    document_id = (await client.post("/rag/ingest", json=body)).raise_for_status().json()["document_id"]
    while True:
        answer = await client.post("/rag/query", json={"query": f"codeword zanzibar{number}", "limit": 1})
        results = answer.raise_for_status().json()["results"]
        if results and results[0]["metadata"]["document_id"] == document_id:
            return time.perf_counter() - began
        await asyncio.sleep(0.01)


async def measure(posts: int) -> list[float]:
    async with installation() as installed, system(installed) as running:
        await seconds_until_found(running.client, 0)  # the worker has started and warmed up
        return [await seconds_until_found(running.client, number) for number in range(1, posts + 1)]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--posts", type=int, default=40)
    posts = arguments.parse_args().posts
    print(heading("From POST to searchable, one page of text"))
    seconds = asyncio.run(measure(posts))
    p50, p95 = quantile(seconds, 0.5), quantile(seconds, 0.95)
    print(f"posts {posts}   p50 {p50 * 1000:.0f} ms   p95 {p95 * 1000:.0f} ms   aim: p50 at most {AIM_P50_SECONDS} s")
    return 0 if p50 <= AIM_P50_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())
