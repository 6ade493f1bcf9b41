"""What a crawl has done so far. It is written down with what it did, so whoever takes the crawl over counts on."""

from dataclasses import dataclass, field
from typing import Self

from core.errors import IngestFailed
from pipelines.sources.base import Item
from stores.sources import CrawlProgress

COUNTED = ("listed", "new", "changed", "unchanged", "deleted", "failed")
# More of them would say the same again.
_MOST_FAILURES = 20


@dataclass(slots=True)
class Tally:
    listed: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0
    cursor: str | None = None
    failures: list[dict[str, str]] = field(default_factory=list)
    last_failure: IngestFailed | None = None

    @classmethod
    def of(cls, progress: CrawlProgress) -> Self:
        tally = cls(cursor=progress.cursor, failures=[dict(failure) for failure in progress.failures])
        for name in COUNTED:
            setattr(tally, name, progress.counts.get(name, 0))
        return tally

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNTED}

    def progress(self) -> CrawlProgress:
        return CrawlProgress(counts=self.counts(), cursor=self.cursor, failures=self.failures)

    def fail(self, item: Item, failure: IngestFailed) -> None:
        """Count an item that could not be fetched, and keep why, of the first ones."""
        self.failed += 1
        self.last_failure = failure
        if len(self.failures) < _MOST_FAILURES:
            self.failures.append({"document": item.external_id, "code": failure.code, "message": failure.message})
