"""An API process whose ingest takes several times as long as an idempotency lease lives."""

import asyncio
from typing import Any

from core.settings import Settings
from server.app.application import create_app
from server.rag.documents.service import DocumentService

SECONDS = 4.0


def main() -> None:
    accept = DocumentService.accept

    async def slowly(*given: Any, **named: Any) -> Any:
        await asyncio.sleep(SECONDS)
        return await accept(*given, **named)

    DocumentService.accept = slowly  # type: ignore[method-assign]
    create_app(settings := Settings()).run(host="127.0.0.1", port=settings.http_port, single_process=True)


if __name__ == "__main__":
    main()
