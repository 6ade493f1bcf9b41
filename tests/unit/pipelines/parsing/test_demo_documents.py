"""The demo's questions have their answers in the demo's documents, and the office files come out of their script."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.document import SourceFile
from pipelines.parsing.read import read

ROOT = Path(__file__).parents[4]
DEMO = ROOT / "docs" / "demo"
QUESTIONS = json.loads((DEMO / "questions.json").read_text("utf-8"))


@pytest.mark.parametrize("question", QUESTIONS, ids=[question["question"] for question in QUESTIONS])
def test_answer_stands_where_it_is_said_to_stand(question: dict[str, str | int | None]) -> None:
    """The words are in the named document, on the named page."""
    path = ROOT / str(question["expected_source"])
    elements = read(SourceFile(name=path.name, content=path.read_bytes()))
    pages = {element.page for element in elements if str(question["must_contain"]) in element.text}
    assert pages == {question["expected_page"]}


@pytest.mark.parametrize(
    "name",
    ["telescope-safety-manual.pdf", "visitor-policy.docx", "quarterly-review.pptx", "instrument-inventory.xlsx"],
)
def test_committed_files_are_what_the_script_makes(made: Path, name: str) -> None:
    """The same words come out of the script again, on the same pages."""
    texts = [
        [(element.page, element.text) for element in read(SourceFile(name=name, content=(folder / name).read_bytes()))]
        for folder in (made, DEMO)
    ]
    assert texts[0] == texts[1] != []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    subprocess.run([sys.executable, str(DEMO / "make_demo.py"), str(folder)], check=True, timeout=120)
    return folder
