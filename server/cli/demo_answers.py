"""Whether an answer of the demo is the right one: its document, its page, its words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and what a result has to be to answer it. Without a page any will do: most formats have none.

    A result names the page on which it begins, and a passage may run on to the next.
    """

    question: str
    expected_source: str
    expected_page: int | None
    must_contain: str

    def is_from_its_source(self, result: Mapping[str, Any]) -> bool:
        return PurePosixPath(result["metadata"]["source"]).name == PurePosixPath(self.expected_source).name

    def fault(self, results: Sequence[Mapping[str, Any]]) -> str | None:
        """Return what is wrong with these results, None if one of them is the answer."""
        found = [result for result in results if self.is_from_its_source(result)]
        if not found:
            return f"{self.expected_source} is not among the first {len(results)} results"
        if self.expected_page is not None:
            pages = [result["metadata"].get("page") for result in found]
            begun = zip(found, pages, strict=True)
            found = [result for result, page in begun if page is not None and page <= self.expected_page]
            if not found:
                said = " and ".join(str(page) for page in pages)
                return f"it is on page {self.expected_page} of {self.expected_source}, and the answer names page {said}"
        if not any(_words(self.must_contain) in _words(result["content"]) for result in found):
            return f"no result from {self.expected_source} says “{self.must_contain}”"
        return None


def _words(text: str) -> str:
    """Return the text as one line: where it breaks is the parser's business."""
    return " ".join(text.split())
