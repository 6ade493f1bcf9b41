"""Mail is its subject, its people and its body; nothing attached is opened."""

import email.policy
from email.message import EmailMessage

import pytest

from core.errors import DocumentEncrypted
from pipelines.document import Element, SourceFile
from pipelines.parsing.mail import read_mail


def read(content: bytes) -> list[Element]:
    return list(read_mail(SourceFile(name="x.eml", content=content)))


def message(subject: str = "Dome") -> EmailMessage:
    made = EmailMessage(policy=email.policy.default)
    made["From"], made["To"], made["Subject"] = "Ada <ada@larkspur.example>", "bob@larkspur.example", subject
    return made


def test_attachment_is_named_and_not_opened() -> None:
    """Its name may be asked for; its content is another document's."""
    mail = message()
    mail.set_content("The pump is wet.\n")
    mail.add_attachment(b"SECRET TABLE", maintype="text", subtype="csv", filename="flow.csv")
    texts = [element.text for element in read(mail.as_bytes())]
    assert texts == [
        "Dome",
        "From: Ada <ada@larkspur.example>\nTo: bob@larkspur.example",
        "Attachments: flow.csv",
        "The pump is wet.",
    ]


def test_html_is_preferred_to_plain() -> None:
    """Of two versions of a body the one with structure is read, and only one."""
    mail = message()
    mail.set_content("See the page.")
    mail.add_alternative("<h1>Pump</h1><p>It has been wet since noon.</p>", subtype="html")
    assert [element.text for element in read(mail.as_bytes())][2:] == ["Pump", "It has been wet since noon."]


def test_encoded_words_are_decoded() -> None:
    """Subject and body are read in their own letters."""
    mail = message("Kühlung für Kuppel")
    mail.set_content("Die Pumpe ist naß und läuft.\n", charset="iso-8859-1")
    texts = [element.text for element in read(mail.as_bytes())]
    assert (texts[0], texts[-1]) == ("Kühlung für Kuppel", "Die Pumpe ist naß und läuft.")


def test_unknown_charset_is_guessed() -> None:
    """A charset nobody has heard of does not lose the body."""
    head = b"From: a@b.c\nSubject: x\nContent-Type: text/plain; charset=martian-7\n\n"
    assert read(head + b"The dome is shut.\n")[-1].text == "The dome is shut."


def test_messages_of_a_digest_are_read() -> None:
    """Messages within a message have no body of their own, and are not lost."""
    digest = (
        b"From: a@b.c\nSubject: Digest\nMIME-Version: 1.0\nContent-Type: multipart/digest; boundary=x\n\n"
        b"--x\n\nSubject: One\n\nThe first has been sent.\n--x\n\nSubject: Two\n\nThe second was lost.\n--x--\n"
    )
    assert [element.text for element in read(digest)][-2:] == ["The first has been sent.", "The second was lost."]


@pytest.mark.parametrize(
    "kind", ["multipart/encrypted; boundary=x", "application/pkcs7-mime; smime-type=enveloped-data"]
)
def test_encrypted_mail_is_said_to_be(kind: str) -> None:
    """There is no text without the key."""
    with pytest.raises(DocumentEncrypted):
        read(f"From: a@b.c\nSubject: x\nMIME-Version: 1.0\nContent-Type: {kind}\n\nabc\n".encode())


def test_header_that_is_hostile_costs_only_itself() -> None:
    """What the standard library stumbles over is left out, what is endless is cut; the body is read."""
    texts = [element.text for element in read(b"Subject: Pump\nTo: " + b"(" * 50_000 + b"\n\nThe pump is wet.\n")]
    assert texts == ["Pump", "The pump is wet."]
    [_, people, body] = read(b"Subject: Pump\nTo: " + b"a@b.example, " * 5_000 + b"\n\nThe pump is wet.\n")
    assert len(people.text) < 12_000
    assert body.text == "The pump is wet."


@pytest.mark.parametrize("charset", ["punycode", "idna", "no-such"])
def test_charset_that_cannot_be_decoded_is_guessed(charset: str) -> None:
    """A body in plain letters is read, whatever its head says of them."""
    content = f"Subject: Pump\nContent-Type: text/plain; charset={charset}\n\nThe pump is wet-99999999999.\n"
    assert read(content.encode())[-1].text == "The pump is wet-99999999999."
