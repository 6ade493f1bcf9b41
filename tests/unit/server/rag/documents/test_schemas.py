"""What may be asked of the room: every fault of a request is named, with a pointer to it."""

from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.document import ChunkingConfig, ChunkingStrategy
from server.openapi.models import RequestBody, Upload
from server.openapi.violations import violations_of
from server.rag.documents.metadata import MAX_BYTES
from server.rag.documents.schemas import IngestForm, IngestText

TEXT = {"source_type": "text", "source": "Some text."}
FILE = Upload(name="a.txt", content=b"Some text.")


def faults(model: type[RequestBody], body: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(body)
    return {violation["pointer"]: violation["message"] for violation in violations_of(refused.value)}


def test_a_text_needs_its_type_and_itself() -> None:
    """Both are named when both are missing."""
    assert faults(IngestText, {}) == {"/source_type": "Field required", "/source": "Field required"}


def test_all_faults_are_listed_at_once() -> None:
    """A client can mend everything in one go."""
    body = {
        "source_type": "text",
        "source": " \n ",
        "metadata": {"_mine": 1},
        "chunking_strategy": "clever",
        "collection": "../x",
        "chunk_tokens": "many",
        "overlap_tokens": -1,
        "shoe_size": 44,
    }
    assert faults(IngestText, body).keys() == {f"/{name}" for name in body if name != "source_type"}


@pytest.mark.parametrize(
    ("source_type", "source"),
    [("url", "https://example.org/a?b=c#d"), ("url", "http://[::1]:80/"), ("github", "acme/cranes@v1:docs")],
)
@pytest.mark.parametrize("model", [IngestText, IngestForm])
def test_an_address_is_the_documents_name_and_has_no_bytes(
    model: type[RequestBody], source_type: str, source: str
) -> None:
    """It is fetched later, and posted again it is the same document, unless that has a name of its own."""
    posted: Any = model.model_validate({"source_type": source_type, "source": source})
    assert (posted.label, posted.identity, posted.content) == (source, source, None)
    named: Any = model.model_validate({"source_type": source_type, "source": source, "external_id": "mine"})
    assert named.identity == "mine"


@pytest.mark.parametrize("source_type", ["url", "github"])
@pytest.mark.parametrize("model", [IngestText, IngestForm])
def test_an_address_is_held_to_its_form(model: type[RequestBody], source_type: str) -> None:
    """What cannot be an address is refused before anybody tries to fetch it."""
    assert "Write the" in faults(model, {**TEXT, "source_type": source_type})["/source"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"source_type": "file"}, "/file"),
        ({"source_type": "text"}, "/file"),
        ({"source_type": "file", "source": "text"}, "/source"),
        ({"source_type": "file", "file": "text"}, "/file"),
        ({"source_type": "text", "source": FILE}, "/source"),
        ({"source_type": "text", "file": FILE}, "/file"),
        ({"source_type": "text", "source": " "}, "/source"),
        ({"source_type": "file", "source": FILE, "file": FILE}, "/file"),
        ({"source_type": "file", "source": Upload(name="a.txt", content=b"")}, "/source"),
        ({"source_type": "file", "file": Upload(name="a.txt", content=b"")}, "/file"),
        ({"source_type": "file", "file": FILE, "external_id": FILE}, "/external_id"),
    ],
)
def test_a_form_holds_exactly_one_document_of_its_type(body: dict[str, Any], pointer: str) -> None:
    """Missing, doubled, empty, or a file for a text and the other way round."""
    assert faults(IngestForm, body).keys() == {pointer}


@pytest.mark.parametrize("part", ["source", "file"])
def test_a_file_may_be_in_either_part(part: str) -> None:
    """The reference calls it source; everybody else calls it file."""
    form = IngestForm.model_validate({"source_type": "file", part: FILE})
    assert (form.label, form.content) == ("a.txt", b"Some text.")


@pytest.mark.parametrize(
    ("extra", "label"),
    [
        ({}, "text"),
        ({"external_id": "faq-7"}, "faq-7"),
        ({"external_id": "faq-7", "metadata": {"source": "a.md"}}, "a.md"),
        ({"metadata": {"source": 7}}, "text"),
    ],
)
def test_a_text_is_called_by_the_best_name_it_has(extra: dict[str, Any], label: str) -> None:
    """Its source in the metadata, else its external id."""
    assert IngestText.model_validate({**TEXT, **extra}).label == label


@pytest.mark.parametrize(
    ("extra", "tokens"),
    [
        ({}, (240, 120)),
        ({"chunk_tokens": 30}, (30, 15)),
        ({"chunk_tokens": 254, "overlap_tokens": 0}, (254, 0)),
        ({"overlap_tokens": 239}, (240, 239)),
    ],
)
def test_chunking_is_a_whole_snapshot(extra: dict[str, Any], tokens: tuple[int, int]) -> None:
    """What is not given is filled in now, so that a later default never reaches the job."""
    chunking = IngestText.model_validate({**TEXT, **extra}).chunking
    assert chunking == ChunkingConfig(
        strategy=ChunkingStrategy.RECURSIVE, chunk_tokens=tokens[0], overlap_tokens=tokens[1]
    )


@pytest.mark.parametrize(
    ("extra", "pointer"),
    [
        ({"chunk_tokens": 255}, "/chunk_tokens"),
        ({"chunk_tokens": 3}, "/chunk_tokens"),
        ({"chunk_tokens": True}, "/chunk_tokens"),
        ({"chunk_tokens": 100.5}, "/chunk_tokens"),
        ({"chunk_tokens": "100"}, "/chunk_tokens"),
        ({"overlap_tokens": 240}, "/overlap_tokens"),
        ({"chunk_tokens": 50, "overlap_tokens": 50}, "/overlap_tokens"),
        ({"external_id": ""}, "/external_id"),
        ({"external_id": "ü" * 501}, "/external_id"),
        ({"collection": "a\n"}, "/collection"),
        ({"metadata": {"a": "x" * MAX_BYTES}}, "/metadata"),
        ({"metadata": {"a": {"b": {"c": {"d": {"e": {}}}}}}}, "/metadata"),
        ({"metadata": {"a": {"$gt": 1}}}, "/metadata"),
        ({"metadata": {"": 1}}, "/metadata"),
        ({"metadata": {"a": 2**63}}, "/metadata"),
        ({"metadata": []}, "/metadata"),
    ],
)
def test_options_have_bounds(extra: dict[str, Any], pointer: str) -> None:
    """One beyond each bound is refused, and nothing is converted to fit."""
    assert faults(IngestText, {**TEXT, **extra}).keys() == {pointer}


def test_a_whole_number_may_be_spelled_with_a_point() -> None:
    """To JSON Schema 100.0 is an integer, and to languages with one type of number there is no other."""
    chunking = IngestText.model_validate({**TEXT, "chunk_tokens": 100.0}).chunking
    assert (chunking.chunk_tokens, type(chunking.chunk_tokens)) == (100, int)
