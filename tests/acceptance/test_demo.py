"""`make demo` from the outside: real files of every format in, the right sources out, and a status that says so."""

from pathlib import Path

from server.agents.flows.ready_made import ready_made
from server.cli import demo
from tests.acceptance.system import RunningSystem

DEMO_SECONDS = 400
# What each ready-made flow does with the input it brings.
PATHS = (
    "in → answer → known → reply",
    "in → text → kind → to_accounting → out",
    "in → small → ask → approved",
    "in → each → out",
)


def run_demo(system: RunningSystem, **environment: str) -> tuple[int, str]:
    process = system.run("demo", **environment)
    said, _ = process.communicate(timeout=DEMO_SECONDS)
    return process.returncode, said


def number_of_documents(system: RunningSystem) -> int:
    with system.client() as client:
        total: int = client.get("/api/v1/rag/documents").json()["total"]
        return total


def flows(system: RunningSystem) -> list[tuple[str, str]]:
    with system.client() as client:
        items = client.get("/api/v1/agents/flows?limit=100").json()["items"]
    return sorted(
        (flow["metadata"]["ready_made"], flow["status"]) for flow in items if "ready_made" in flow["metadata"]
    )


def test_ready_made_flows_are_there_once(running_system: RunningSystem) -> None:
    """Published, each of them, from the start on; a demo adds none."""
    expected = sorted((name, "published") for name in ready_made())
    assert flows(running_system) == expected


def test_demo_finds_the_answer_to_every_question(running_system: RunningSystem) -> None:
    """All documents are indexed, each question finds its words, each flow completes; a second demo adds nothing."""
    status, said = run_demo(running_system)
    assert status == 0, said
    count = len(demo.documents())
    assert f"{count} of {count} documents are searchable" in said
    questions = demo.questions()
    assert len(questions) >= 3
    assert all(question.question in said for question in questions)
    assert f"{len(questions)} of {len(questions)} questions found their answer" in said
    assert "4 of 4 flows completed" in said
    for path in PATHS:
        assert path in said

    before = number_of_documents(running_system)
    assert run_demo(running_system)[0] == 0
    assert number_of_documents(running_system) == before
    assert flows(running_system) == sorted((name, "published") for name in ready_made())


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
