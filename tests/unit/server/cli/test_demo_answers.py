"""The demo knows a right answer from a wrong one, and says what is wrong with it."""

from typing import Any

import httpx
import pytest

from server.cli import demo
from server.cli.demo_answers import Question
from server.cli.demo_client import DemoClient

QUESTION = Question(
    question="Who may open the dome?",
    expected_source="docs/demo/manual.pdf",
    expected_page=2,
    must_contain="Only the duty observer may open the dome.",
)


def result(source: str = "manual.pdf", page: int | None = 2, content: str | None = None) -> dict[str, Any]:
    return {
        "content": content or "Rules. Only the duty\nobserver may open  the dome. Nobody else.",
        "score": 0.9,
        "metadata": {"source": source} | ({} if page is None else {"page": page}),
    }


@pytest.mark.parametrize(
    ("results", "fault"),
    [
        ([result("faq.html", None), result()], None),
        ([result(page=5), result()], None),
        ([result(page=1)], None),  # begins there and runs on to the page of the answer
        ([result("faq.html", None)], "docs/demo/manual.pdf is not among the first 1 results"),
        ([], "docs/demo/manual.pdf is not among the first 0 results"),
        ([result(page=3)], "it is on page 2 of docs/demo/manual.pdf, and the answer names page 3"),
        ([result(page=None)], "it is on page 2 of docs/demo/manual.pdf, and the answer names page None"),
        (
            [result(content="The dome opens at dusk.")],
            "no result from docs/demo/manual.pdf says “Only the duty observer may open the dome.”",
        ),
        # The right words on another page, and other words on the right one, are no answer together.
        (
            [result(page=3), result(content="The dome opens at dusk.")],
            "no result from docs/demo/manual.pdf says “Only the duty observer may open the dome.”",
        ),
    ],
)
def test_an_answer_is_the_right_document_page_and_words(results: list[dict[str, Any]], fault: str | None) -> None:
    """One result has to be all three; where lines break does not matter."""
    assert QUESTION.fault(results) == fault


async def test_wrong_answers_are_said_and_returned() -> None:
    """Each question that was answered wrongly is named with what is wrong, so the demo cannot end with status 0."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"results": [result(page=3)], "total": 1, "query_time": 0.01})

    said: list[str] = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://api") as http:
        client = DemoClient(http=http, url="http://api", key="k")
        wrong = await demo._ask_all(client, [QUESTION], said.append)
    assert wrong == [
        "“Who may open the dome?” was answered wrongly: "
        "it is on page 2 of docs/demo/manual.pdf, and the answer names page 3."
    ]
    assert said[-1] == f"  WRONG    {wrong[0]}"
    assert said[-2] == "  0 of 1 questions found their answer in the first 3 results"
