"""The twin without a jail reads the same and fails the same."""

from core.errors import DocumentUnreadable
from pipelines.document import SourceFile
from pipelines.parsing.in_process import InProcessParser


async def test_outcomes_in_order() -> None:
    """A failure is an outcome, not an exception, and the next file is read."""
    parser = InProcessParser()
    await parser.warm()
    broken, fine = await parser.parse(
        [SourceFile(name="a.pdf", content=b"%PDF-1.7\n"), SourceFile(name="b", content=b"It is shut.")]
    )
    await parser.close()
    assert type(broken.failure) is DocumentUnreadable
    assert [element.text for element in fine.elements] == ["It is shut."]
