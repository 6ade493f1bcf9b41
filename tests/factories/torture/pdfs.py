"""PDFs that run in circles, swell, point elsewhere or claim to be huge."""

import zlib

from tests.factories.torture.case import BROKEN, EMPTY, LARGE, LATE, READ, Bait, Case

_MEBIBYTE = 1024 * 1024
_PAGE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> "
    b"/XObject << /X 6 0 R >> >> /Annots [7 0 R] >>"
)
_PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
_SENTENCE = b"BT /F1 12 Tf 72 720 Td (The sundial stands at the bottom of the garden.) Tj ET\n"
_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def _stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def _pdf(
    changes: dict[int, bytes] | None = None, *, root: bytes = b"", trailer: bytes = b"", more: bytes = b""
) -> bytes:
    """Return a PDF of one page with some of its objects changed."""
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R %s >>" % root, 2: _PAGES, 3: _PAGE, 4: _stream(_SENTENCE), 5: _FONT}
    objects |= {
        6: _stream(b"", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]"),
        7: b"<< /Type /Annot /Subtype /Link >>",
    }
    objects |= changes or {}
    body, places = b"%PDF-1.7\n", {}
    for number, content in objects.items():
        places[number] = len(body)
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    size = max(objects) + 1
    table = b"".join(
        b"%010d 00000 n \n" % places[number] if number in places else b"0000000000 65535 f \n" for number in range(size)
    )
    end = b"xref\n0 %d\n%strailer << /Root 1 0 R /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n"
    return body + end % (size, table, size, trailer.replace(b"HERE", b"%d" % len(body)), len(body)) + more


def pdf_of(pages: list[list[str]]) -> bytes:
    """Return a PDF of these lines, page by page."""
    changes = {}
    for number, lines in enumerate(pages):
        text = b"".join(b"(%s) Tj 0 -14 Td " % line.encode("ascii") for line in lines)
        changes[20 + 2 * number] = _PAGE.replace(b"4 0 R", b"%d 0 R" % (21 + 2 * number))
        changes[21 + 2 * number] = _stream(b"BT /F1 10 Tf 50 740 Td " + text + b"ET")
    kids = b" ".join(b"%d 0 R" % (20 + 2 * number) for number in range(len(pages)))
    return _pdf({2: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)), **changes})


def _picture(side: int) -> bytes:
    entries = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB /BitsPerComponent 8"
    return _stream(zlib.compress(bytes(_MEBIBYTE)), entries % (side, side) + b" /Filter /FlateDecode")


def _forms(count: int) -> dict[int, bytes]:
    """Return forms of which each shows the next ten times."""
    entries = (
        b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /Font << /F1 5 0 R >> /XObject << /X %d 0 R >> >>"
    )
    return {10 + n: _stream(_SENTENCE + b"/X Do " * 10, entries % (11 + n)) for n in range(count)}


def _actions(bait: Bait) -> bytes:
    there = bait.address.encode()
    kinds = (
        b"/S /URI /URI (%s)" % there,
        b"/S /GoToR /F << /FS /URL /F (%s) >> /D [0 /Fit]" % there,
        b"/S /Launch /F (%s)" % bait.secret_path.encode(),
        b"/S /SubmitForm /F << /FS /URL /F (%s) >>" % there,
        b"/S /ImportData /F (%s)" % bait.secret_path.encode(),
        b"/S /JavaScript /JS (app.launchURL\\('%s'\\))" % there,
    )
    action = b"".join(b"<< %s " % kind + (b"/Next " if kind is not kinds[-1] else b"") for kind in kinds)
    return b"/OpenAction " + action + b">>" * len(kinds)


_SELF_FORM = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >>"

CASES: dict[str, Case] = {
    "pdf whose pages hold themselves": Case(
        name="a.pdf",
        make=lambda _: _pdf({2: b"<< /Type /Pages /Kids [2 0 R 3 0 R] /Count 2 >>"}),
        ends=(READ, BROKEN, EMPTY),
    ),
    "pdf of pages without number": Case(
        name="a.pdf",
        make=lambda _: _pdf({2: b"<< /Type /Pages /Kids [3 0 R] /Count 2000000000 >>"}),
        ends=(LARGE, READ, BROKEN),
    ),
    "pdf of pages less than none": Case(
        name="a.pdf",
        make=lambda _: _pdf({2: b"<< /Type /Pages /Kids [3 0 R] /Count -1 >>"}),
        ends=(READ, BROKEN, EMPTY),
    ),
    "pdf of one page a hundred thousand times": Case(
        name="a.pdf",
        make=lambda _: _pdf({2: b"<< /Type /Pages /Kids [" + b"3 0 R " * 100_000 + b"] /Count 100000 >>"}),
        ends=(LARGE,),
    ),
    "pdf of one page as often as is allowed": Case(
        name="a.pdf",
        make=lambda _: _pdf({2: b"<< /Type /Pages /Kids [" + b"3 0 R " * 5_000 + b"] /Count 5000 >>"}),
        ends=(READ, EMPTY),
        takes_seconds=True,
    ),
    "pdf of pages in pages": Case(
        name="a.pdf",
        make=lambda _: _pdf(
            {n: b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (n + 1) for n in (2, *range(10, 5_000))}
        ),
        ends=(READ, BROKEN, EMPTY),
    ),
    "pdf of blanks": Case(
        name="a.pdf",
        make=lambda _: _pdf(
            {4: _stream(zlib.compress(zlib.compress(b" " * (400 * _MEBIBYTE))), b"/Filter [/FlateDecode /FlateDecode]")}
        ),
        ends=(LARGE, BROKEN, EMPTY, READ),
        takes_seconds=True,
    ),
    "pdf of a huge picture": Case(
        name="a.pdf", make=lambda _: _pdf({4: _stream(_SENTENCE + b"/X Do"), 6: _picture(100_000)}), says="sundial"
    ),
    "pdf of a huge page": Case(
        name="a.pdf", make=lambda _: _pdf({3: _PAGE.replace(b"612 792", b"1e38 1e38")}), ends=(READ, EMPTY)
    ),
    "pdf of a form in itself": Case(
        name="a.pdf",
        make=lambda _: _pdf({4: _stream(_SENTENCE + b"/X Do"), 6: _stream(_SENTENCE + b"/X Do", _SELF_FORM)}),
        says="sundial",
    ),
    "pdf of forms that multiply": Case(
        name="a.pdf",
        make=lambda _: _pdf({3: _PAGE.replace(b"/X 6", b"/X 10"), 4: _stream(_SENTENCE + b"/X Do")} | _forms(12)),
        ends=(READ, LATE, LARGE, EMPTY, BROKEN),
        takes_seconds=True,
    ),
    "pdf of words without end": Case(
        name="a.pdf",
        make=lambda _: _pdf(
            {4: _stream(zlib.compress(b"BT /F1 12 Tf " + b"1 0 Td (a) Tj " * 150_000 + b"ET"), b"/Filter /FlateDecode")}
        ),
        ends=(READ, LARGE, LATE),
        takes_seconds=True,
    ),
    "pdf of saved states": Case(
        name="a.pdf", make=lambda _: _pdf({4: _stream(b"q " * 1_000_000 + _SENTENCE)}), ends=(READ, EMPTY, LARGE)
    ),
    "pdf of arrays in arrays": Case(name="a.pdf", make=lambda _: _pdf({7: b"[" * 1_000_000}), ends=(READ, BROKEN)),
    "pdf of an array in its page": Case(
        name="a.pdf", make=lambda _: _pdf({4: _stream(b"[" * 500_000 + _SENTENCE)}), ends=(READ, EMPTY, BROKEN)
    ),
    "pdf whose table comes before itself": Case(
        name="a.pdf", make=lambda _: _pdf(trailer=b"/Prev HERE"), ends=(READ, BROKEN)
    ),
    "pdf whose lengths are each other": Case(
        name="a.pdf",
        make=lambda _: _pdf({4: _stream(_SENTENCE).replace(b"/Length %d" % len(_SENTENCE), b"/Length 4 0 R")}),
        ends=(READ, BROKEN, EMPTY),
    ),
    "pdf of a length that lies": Case(
        name="a.pdf",
        make=lambda _: _pdf({4: _stream(_SENTENCE).replace(b"/Length %d" % len(_SENTENCE), b"/Length 2147483647")}),
        ends=(READ, BROKEN, EMPTY),
    ),
    "pdf of a hundred filters": Case(
        name="a.pdf",
        make=lambda _: _pdf({4: _stream(_SENTENCE, b"/Filter [" + b"/ASCIIHexDecode " * 2_000 + b"]")}),
        ends=(READ, BROKEN, EMPTY),
    ),
    "pdf of actions": Case(name="a.pdf", make=lambda bait: _pdf(root=_actions(bait)), says="sundial"),
    "pdf of a stream from elsewhere": Case(
        name="a.pdf",
        make=lambda bait: _pdf({4: _stream(b"", b"/F << /FS /URL /F (%s) >>" % bait.address.encode())}),
        ends=(READ, EMPTY),
    ),
    "pdf of a file attached": Case(
        name="a.pdf",
        make=lambda _: _pdf(
            {
                8: _stream(b"MZ\x90attached"),
                9: b"<< /Type /Filespec /F (../../../../tmp/climbed) /EF << /F 8 0 R >> >>",
            },
            root=b"/Names << /EmbeddedFiles << /Names [(a) 9 0 R] >> >>",
        ),
        says="sundial",
    ),
    "pdf of a map of letters without end": Case(
        name="a.pdf",
        make=lambda _: _pdf(
            {
                5: _FONT.replace(b" >>", b" /ToUnicode 8 0 R >>"),
                8: _stream(
                    b"1 begincodespacerange <00> <FF> endcodespacerange "
                    + b"1 beginbfrange <0000> <FFFF> <0041> endbfrange " * 3_000
                ),
            }
        ),
        ends=(READ, LATE, EMPTY, LARGE),
        takes_seconds=True,
    ),
    "pdf saved a thousand times": Case(
        name="a.pdf",
        make=lambda _: _pdf(more=b"4 0 obj\n<< >>\nendobj\ntrailer << /Root 1 0 R >>\nstartxref\n0\n%%EOF\n" * 20_000),
        ends=(READ, BROKEN, EMPTY),
    ),
    "pdf that is a page as well": Case(
        name="a.html", make=lambda _: b"<html><script>alert(1)</script>" + _pdf(), says="sundial"
    ),
    "pdf that is an archive as well": Case(
        name="a.docx", make=lambda _: _pdf(more=b"PK\x05\x06" + bytes(18)), says="sundial"
    ),
    "pdf without its end": Case(name="a.pdf", make=lambda _: _pdf()[:200], ends=(BROKEN, EMPTY)),
}
