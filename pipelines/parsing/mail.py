"""Mail: the subject and who wrote to whom, then the body. Attachments are documents of their own and are not opened."""

import email
import io
from collections.abc import Iterator, Sequence
from email.errors import HeaderParseError
from email.message import EmailMessage, MIMEPart
from email.policy import EmailPolicy

from core.errors import DocumentEncrypted
from pipelines.document import Element, ElementKind, SourceFile
from pipelines.parsing.markup import html_elements
from pipelines.parsing.plain import decode, prose

_SHOWN_HEADERS = ("From", "To", "Cc", "Date")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


# What the standard library raises over headers, some of them real ones.
_STUMBLES = (ValueError, AttributeError, IndexError, TypeError, HeaderParseError, RecursionError)
# A list of ten thousand recipients is no use to a reader, and the standard library takes minutes over it.
_HEADER_CHARACTERS = 10_000


class _ShortHeaders(EmailPolicy):
    """The standard library's policy, for headers no longer than anybody writes."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_HEADER_CHARACTERS]


def read_mail(file: SourceFile) -> Iterator[Element]:
    """Yield one message. Raises DocumentEncrypted."""
    message = email.message_from_bytes(file.content, policy=_ShortHeaders())
    assert isinstance(message, EmailMessage)
    if message.get_content_type() in _ENCRYPTED:
        raise DocumentEncrypted("The mail is encrypted. Decrypt it and post it again.")
    yield from _head(_header(message, "Subject"), [(name, _header(message, name)) for name in _SHOWN_HEADERS])
    attached = [name for part in message.iter_attachments() if (name := part.get_filename())]
    if attached:
        yield Element(kind=ElementKind.TEXT, text=f"Attachments: {', '.join(attached)}")
    body = message.get_body(preferencelist=("html", "plain"))
    if body is not None:
        yield from _body(body)
        return
    for part in message.walk():  # a digest: messages in a message
        if part.get_content_maintype() == "text" and not part.get_filename():
            yield from _body(part)


def read_msg(file: SourceFile) -> Iterator[Element]:
    """Yield one message as Outlook saves it."""
    from oxmsg import Message

    message = Message.load(io.BytesIO(file.content))
    headers = {name.lower(): value for name, value in message.message_headers.items()}
    shown = [(name, str(headers.get(name.lower(), ""))) for name in _SHOWN_HEADERS]
    if not shown[0][1]:
        shown[0] = ("From", message.sender or "")
    yield from _head(message.subject, shown)
    if message.html_body:
        yield from html_elements(message.html_body)
    elif message.body:
        yield from prose(message.body.replace("\r\n", "\n"))


def _head(subject: str, headers: Sequence[tuple[str, str]]) -> Iterator[Element]:
    if subject:
        yield Element(kind=ElementKind.TITLE, text=subject)
    lines = [f"{name}: {value}" for name, value in headers if value]
    if lines:
        yield Element(kind=ElementKind.TEXT, text="\n".join(lines))


def _header(message: EmailMessage, name: str) -> str:
    try:
        return str(message[name] or "")
    except _STUMBLES:
        return ""


def _body(part: MIMEPart) -> Iterator[Element]:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return
    try:
        text = content.decode(part.get_content_charset("utf-8"))
    except (LookupError, UnicodeError):
        text = decode(content)
    text = text.replace("\r\n", "\n")
    yield from html_elements(text) if part.get_content_subtype() == "html" else prose(text)
