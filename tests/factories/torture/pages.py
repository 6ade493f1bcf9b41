"""Web pages and mails."""

from email.message import EmailMessage

from tests.factories.torture.case import BROKEN, EMPTY, LARGE, LATE, LOCKED, READ, Bait, Case, simple

_WORDS = b"The sundial stands at the bottom of the garden."


def _page(body: bytes) -> bytes:
    return b"<html><body>" + body + b"</body></html>"


def _every_reference(bait: Bait) -> bytes:
    """Return a page that asks a reader for something in every way there is."""
    tags = (
        '<link rel="stylesheet" href="{0}"><script src="{0}"></script><img src="{0}" srcset="{0} 2x"><iframe src="{0}">'
        '</iframe><object data="{0}"></object><embed src="{0}"><video src="{0}" poster="{0}"></video><base href="{0}">'
        '<meta http-equiv="refresh" content="0;url={0}"><body background="{0}"><svg><use href="{0}"/></svg>'
        '<xi:include href="{0}"/><style>@import url({0})</style><form action="{0}"></form>'
    )
    return _page(
        b"<p>" + _WORDS + b"</p>" + (tags.format(bait.address) + tags.format(f"file://{bait.secret_path}")).encode()
    )


def _mail(body: bytes, *headers: bytes) -> bytes:
    lines = (b"From: a@example.org", b"To: b@example.org", b"Subject: One", b"MIME-Version: 1.0", *headers)
    return b"\n".join(lines) + b"\n\n" + body


def _nested(levels: int, kind: bytes) -> bytes:
    """Return a mail in a mail in a mail … or parts in parts."""
    body = b"Content-Type: text/plain\n\n" + _WORDS
    for level in range(levels):
        if kind == b"message":
            body = b"Content-Type: message/rfc822\n\nSubject: in\n" + body
        else:
            mark = b"m%d" % level
            body = b"Content-Type: multipart/mixed; boundary=%s\n\n--%s\n%s\n--%s--" % (mark, mark, body, mark)
    return b"From: a@example.org\nTo: b@example.org\nSubject: One\nMIME-Version: 1.0\n" + body


def _attached() -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "One"
    message.set_content(_WORDS.decode())
    for name in ("../../../../tmp/climbed.txt", "/etc/cron.d/climbed", "..\\..\\climbed.exe"):
        message.add_attachment(b"attached", maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


CASES: dict[str, Case] = {
    "page of nested blocks": Case(name="a.html", make=lambda _: _page(b"<div>" * 100_000 + _WORDS), says="sundial"),
    "page of opened fonts": Case(name="a.html", make=lambda _: _page(b"<b><i>" * 30_000 + _WORDS), says="sundial"),
    "page of opened links": Case(name="a.html", make=lambda _: _page(b"<a href=x>" * 50_000 + _WORDS), says="sundial"),
    "page of opened paragraphs": Case(name="a.html", make=lambda _: _page(b"<p>a" * 200_000), takes_seconds=True),
    "page of nested tables": Case(
        takes_seconds=True, name="a.html", make=lambda _: _page(b"<table><tr><td>" * 5_000 + _WORDS)
    ),
    "page of tables in few levels": Case(
        name="a.html", make=lambda _: _page((b"<table><tr><td>a" * 60 + b"</table>" * 60) * 300), takes_seconds=True
    ),
    "page of nested lists": Case(name="a.html", make=lambda _: _page(b"<ul><li>a" * 20_000)),
    "page of one table": Case(
        name="a.html", make=lambda _: _page(b"<table>" + b"<tr><td>a<td>b" * 100_000 + b"</table>"), takes_seconds=True
    ),
    "page of a wide cell": Case(
        name="a.html", make=simple(_page(b"<table><tr><td colspan=999999999 rowspan=999999999>a<td>b</table>"))
    ),
    "page of attributes": Case(
        name="a.html",
        make=lambda _: _page(b"<p " + b" ".join(b"a%d=1" % n for n in range(100_000)) + b">" + _WORDS),
        ends=(READ, LATE),
        takes_seconds=True,
    ),
    "page of one attribute": Case(name="a.html", make=lambda _: _page(b'<p a="' + b"a" * 12_000_000 + b'">' + _WORDS)),
    "page of a comment that never ends": Case(name="a.html", make=lambda _: _page(_WORDS + b"<!--" + b"-" * 4_000_000)),
    "page of entities": Case(name="a.html", make=lambda _: _page(b"&lt;" * 1_000_000)),
    "page of opened angles": Case(name="a.html", make=lambda _: _page(b"<" * 1_000_000)),
    "page that declares punycode": Case(
        name="a.html", make=lambda _: b"<html><meta charset=punycode><body>\xff" + b"abcdefgh-99999999" * 60_000
    ),
    "page that declares idna": Case(
        name="a.html", make=lambda _: b"<html><meta charset=idna><body>\xff" + b"a" * 900_000
    ),
    "page of every reference": Case(name="a.html", make=_every_reference, says="sundial"),
    "page of outside entities": Case(
        name="a.xhtml",
        make=lambda bait: b'<?xml version="1.0"?>' + bait.entities + _page(b"<p>" + _WORDS + b"&file;&web;</p>"),
        says="sundial",
    ),
    "page that laughs": Case(
        name="a.html",
        make=simple(
            b"<!DOCTYPE html ["
            + b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 10) for n in range(1, 10))
            + b"]>"
            + _page(b"<p>" + _WORDS + b"&e9;</p>")
        ),
        says="sundial",
    ),
    "web page of nested blocks": Case(name="a", make=lambda _: _page(b"<div>" * 50_000 + _WORDS), is_web_page=True),
    "web page of opened fonts": Case(name="a", make=lambda _: _page(b"<b><i>" * 20_000 + _WORDS), is_web_page=True),
    "web page of paragraphs": Case(
        name="a", make=lambda _: _page(b"<article>" + b"<p>a b c d" * 60_000), is_web_page=True, takes_seconds=True
    ),
    "web page of nested quotes": Case(
        name="a", make=lambda _: _page(b"<blockquote><ul><li>a " * 10_000), is_web_page=True, takes_seconds=True
    ),
    "web page of every reference": Case(name="a", make=_every_reference, says="sundial", is_web_page=True),
    "web page that is a PDF as well": Case(
        name="a", make=simple(_page(b"<p>" + _WORDS) + b"%PDF-1.4 endobj"), says="sundial", is_web_page=True
    ),
    "mail in mail": Case(name="a.eml", make=lambda _: _nested(2_000, b"message"), ends=(READ, BROKEN)),
    "mail of parts in parts": Case(
        takes_seconds=True, name="a.eml", make=lambda _: _nested(900, b"parts"), ends=(READ, BROKEN)
    ),
    "mail of many parts": Case(
        name="a.eml",
        make=lambda _: _mail(b"--m\n\na\n" * 100_000 + b"--m--", b"Content-Type: multipart/mixed; boundary=m"),
        takes_seconds=True,
    ),
    "mail of a long header": Case(
        name="a.eml", make=lambda _: _mail(_WORDS, b"Cc: " + b"a@b.c, " * 100_000), takes_seconds=True
    ),
    "mail of encoded words": Case(name="a.eml", make=lambda _: _mail(_WORDS, b"Cc: " + b"=?utf-8?q?a?= " * 20_000)),
    "mail of folded lines": Case(name="a.eml", make=lambda _: _mail(_WORDS, b"Date: a" + b"\n a" * 200_000)),
    "mail of brackets": Case(name="a.eml", make=lambda _: _mail(_WORDS, b"Cc: " + b"(" * 50_000)),
    "mail of groups": Case(name="a.eml", make=lambda _: _mail(_WORDS, b"Cc: " + b"a:" * 20_000)),
    "mail of continued parameters": Case(
        name="a.eml",
        make=lambda _: _mail(_WORDS, b"Content-Type: text/plain" + b"".join(b";\n a*%d=b" % n for n in range(20_000))),
    ),
    "mail of headers": Case(
        takes_seconds=True, name="a.eml", make=lambda _: _mail(_WORDS, *(b"X-%d: a" % n for n in range(100_000)))
    ),
    "mail in punycode": Case(
        name="a.eml",
        make=lambda _: _mail(b"abcdefgh-99999999" * 60_000, b"Content-Type: text/plain; charset=punycode"),
    ),
    "mail in a compressor": Case(
        name="a.eml", make=simple(_mail(_WORDS, b"Content-Type: text/plain; charset=zlib")), says="sundial"
    ),
    "mail from outside": Case(
        name="a.eml",
        make=lambda bait: _mail(
            b'--m\nContent-Type: message/external-body; access-type=URL; URL="%s"\n\nContent-Type: text/plain\n\n'
            b"--m\nContent-Type: text/html\n\n%s\n--m--" % (bait.address.encode(), _every_reference(bait)),
            b"Content-Type: multipart/mixed; boundary=m",
        ),
        says="sundial",
    ),
    "mail of climbing attachments": Case(name="a.eml", make=lambda _: _attached(), says="sundial"),
    "encrypted mail": Case(
        name="a.eml", make=simple(_mail(b"secret", b"Content-Type: multipart/encrypted; boundary=m")), ends=(LOCKED,)
    ),
    "mail of broken base64": Case(
        name="a.eml",
        make=lambda _: _mail(b"=" * 2_000_000, b"Content-Type: text/plain", b"Content-Transfer-Encoding: base64"),
    ),
    "mail of quoted signs": Case(
        name="a.eml",
        make=lambda _: _mail(
            b"=" * 2_000_000, b"Content-Type: text/plain", b"Content-Transfer-Encoding: quoted-printable"
        ),
        ends=(READ, EMPTY, LARGE),
    ),
}
