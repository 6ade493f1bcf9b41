"""`make demo` from the outside: real files of every format in, the right sources out, and a status that says so."""

from pathlib import Path

from server.cli import demo
from tests.acceptance.system import RunningSystem

DEMO_SECONDS = 400


def run_demo(system: RunningSystem, **environment: str) -> tuple[int, str]:
    process = system.run("demo", **environment)
    said, _ = process.communicate(timeout=DEMO_SECONDS)
    return process.returncode, said


def number_of_documents(system: RunningSystem) -> int:
    with system.client() as client:
        total: int = client.get("/api/v1/rag/documents").json()["total"]
        return total


def test_demo_finds_the_answer_to_every_question(running_system: RunningSystem) -> None:
    """All documents are indexed, each question finds document, page and words, and a second demo adds no document."""
    status, said = run_demo(running_system)
    assert status == 0, said
    count = len(demo.documents())
    assert f"{count} of {count} documents are searchable" in said
    questions = demo.questions()
    assert len(questions) >= 3
    assert all(question.question in said for question in questions)
    assert f"{len(questions)} of {len(questions)} questions found their answer" in said

    before = number_of_documents(running_system)
    assert run_demo(running_system)[0] == 0
    assert number_of_documents(running_system) == before


def test_demo_covers_every_format_the_parsers_read() -> None:
    """The demo's files are of all nine formats, so `make up` shows each of them working."""
    formats = {path.suffix for path in demo.documents()}
    assert formats >= {".pdf", ".docx", ".pptx", ".xlsx", ".csv", ".html", ".md", ".txt", ".eml"}


def test_demo_without_a_running_system_is_one_sentence(running_system: RunningSystem, tmp_path: Path) -> None:
    """Without a key, or with nobody answering, it says what to do first."""
    status, said = run_demo(running_system, CODEXOS_HOME=str(tmp_path))
    assert (status, said.count("\n")) == (1, 1)
    assert "`make up` makes one" in said
    (tmp_path / "dev-api-key").write_text("cxk_test_x\n")
    status, said = run_demo(running_system, CODEXOS_HOME=str(tmp_path), CODEXOS_HTTP_PORT="1")
    assert status == 1
    assert said.splitlines()[-1].endswith("start the system first with `make up`.")
