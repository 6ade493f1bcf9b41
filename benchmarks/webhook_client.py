"""The HTTP client that the dispatcher uses, alone: `python -m benchmarks.webhook_client REQUESTS AT_ONCE`.

Reads {"url", "headers", "body"} from its input, sends that so often, and prints the requests a second.
"""

import asyncio
import json
import sys
import time

import httpcore


async def _send_all(requests: int, at_once: int) -> float:
    given = json.load(sys.stdin)
    headers = [(name.encode(), value.encode()) for name, value in given["headers"].items()]
    left = iter(range(requests))
    async with httpcore.AsyncConnectionPool(max_connections=at_once, max_keepalive_connections=at_once) as pool:

        async def send() -> None:
            for _ in left:
                await pool.request("POST", given["url"], headers=headers, content=given["body"].encode())

        began = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(at_once)))
        return requests / (time.perf_counter() - began)


if __name__ == "__main__":
    print(asyncio.run(_send_all(int(sys.argv[1]), int(sys.argv[2]))))
