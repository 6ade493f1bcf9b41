"""Mail: the subject and who wrote to whom, then the body. Attachments are documents of their own and are not opened."""

import email
import email.policy
import io
from collections.abc import Iterator

from pipelines.document import Element, ElementKind, SourceFile
from pipelines.parsing.elements import from_unstructured
from pipelines.parsing.language import LANGUAGES

_SHOWN_HEADERS = ("From", "To", "Cc", "Date")


def read_mail(file: SourceFile) -> Iterator[Element]:
    from unstructured.partition.email import partition_email

    message = email.message_from_bytes(file.content, policy=email.policy.default)
    if message["Subject"]:
        yield Element(kind=ElementKind.TITLE, text=str(message["Subject"]))
    headers = [f"{name}: {message[name]}" for name in _SHOWN_HEADERS if message[name]]
    if headers:
        yield Element(kind=ElementKind.TEXT, text="\n".join(headers))
    parsed = partition_email(file=io.BytesIO(file.content), languages=LANGUAGES, process_attachments=False)
    yield from from_unstructured(parsed)
