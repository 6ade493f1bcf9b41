"""What strangers post by mistake or on purpose: each gets its sentence, and the next good document is indexed."""

import io
import zipfile
from collections.abc import Iterator

import httpx
import pypdf
import pytest

from tests.acceptance.system import ROOT, RunningSystem

MANUAL = (ROOT / "docs" / "demo" / "telescope-safety-manual.pdf").read_bytes()
POLICY = (ROOT / "docs" / "demo" / "visitor-policy.docx").read_bytes()


def encrypted_pdf() -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(MANUAL))
    writer.encrypt("secret")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", b"\0" * (300 * 1024 * 1024))
    return file.getvalue()


BAD_FILES = {
    "truncated.pdf": (MANUAL[: len(MANUAL) // 3], "DOCUMENT_UNREADABLE"),
    "truncated.docx": (POLICY[: len(POLICY) // 2], "DOCUMENT_UNREADABLE"),
    "encrypted.pdf": (encrypted_pdf(), "DOCUMENT_ENCRYPTED"),
    "bomb.docx": (zip_bomb(), "DOCUMENT_TOO_LARGE"),
    "picture.docx": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "UNSUPPORTED_FORMAT"),
    "blank.txt": (b" \n\t \n", "EMPTY_DOCUMENT"),
}


@pytest.fixture
def client(running_system: RunningSystem) -> Iterator[httpx.Client]:
    with running_system.client() as client:
        client.timeout = httpx.Timeout(120)
        yield client


def post(client: httpx.Client, name: str, content: bytes) -> httpx.Response:
    return client.post(
        "/api/v1/rag/ingest",
        data={"source_type": "file"},
        files={"source": (name, content)},
        headers={"Prefer": "wait=60"},
    )


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_fails_with_its_code_and_the_worker_lives(client: httpx.Client, name: str) -> None:
    """The job says what is wrong in a sentence, and a good document posted next is indexed."""
    content, code = BAD_FILES[name]
    answer = post(client, name, content)
    if answer.is_client_error:  # refused at the door already
        assert answer.json()["error"]["code"] == "VALIDATION_ERROR"
    else:
        job = client.get(f"/api/v1/rag/jobs/{answer.json()['job_id']}").json()
        assert (job["status"], job["error"]["code"]) == ("failed", code)
        assert job["error"]["message"].endswith(".")
    assert post(client, "good.txt", f"A good document after {name}.".encode()).json()["status"] == "indexed"


def test_text_named_pdf_and_pdf_named_txt_are_read_by_content(client: httpx.Client) -> None:
    """A wrong extension is no reason to fail."""
    assert post(client, "really-a-pdf.txt", MANUAL).json()["status"] == "indexed"
    assert post(client, "really-text.pdf", b"Just a line of text in a file with a wrong name.").json()["status"] == (
        "indexed"
    )


def test_hundred_megabytes_are_refused_at_once(client: httpx.Client) -> None:
    """413 in the envelope, and the server goes on."""
    answer = post(client, "huge.txt", b"x" * (100 * 1024 * 1024))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"source_type": "text", "source": "a", "chunking_strategy": "magic"}, "/chunking_strategy"),
        ({"source_type": "text"}, "/source"),
        ({"source": "a"}, "/source_type"),
        ({"source_type": "text", "source": ""}, "/source"),
    ],
)
def test_bad_request_points_at_its_fault(client: httpx.Client, body: dict[str, str], pointer: str) -> None:
    """400 with a JSON pointer to what is wrong."""
    answer = client.post("/api/v1/rag/ingest", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert pointer in [violation["pointer"] for violation in error["details"]["violations"]]
