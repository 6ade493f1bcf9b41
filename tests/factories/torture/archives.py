"""Office documents: archives that swell, point elsewhere, run in circles or claim to be huge."""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.factories.torture.case import BROKEN, EMPTY, LARGE, LATE, LOCKED, READ, UNKNOWN, Bait, Case

_DEMO = Path(__file__).parents[3] / "docs" / "demo"
_POLICY, _REVIEW, _INVENTORY = "visitor-policy.docx", "quarterly-review.pptx", "instrument-inventory.xlsx"
_KNOWN = {_POLICY: "led by a guide", _REVIEW: "Smoke from the Brackenridge fires", _INVENTORY: "Bramble spectrograph"}
_MEBIBYTE = 1024 * 1024
_WORD = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_SHEET = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'

Change = Callable[[bytes], bytes]


def _changed(name: str, changes: Mapping[str, Change], more: Mapping[str, bytes] | None = None) -> bytes:
    """Return a demo document with some parts changed and others added."""
    made_in = io.BytesIO()
    with (
        zipfile.ZipFile(_DEMO / name) as source,
        zipfile.ZipFile(made_in, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for member in source.namelist():
            made.writestr(member, changes.get(member, lambda part: part)(source.read(member)))
        for member, part in (more or {}).items():
            made.writestr(member, part)
    return made_in.getvalue()


def _docx(body: bytes, head: bytes = b"") -> bytes:
    text = b'<?xml version="1.0"?>' + head + b"<w:document " + _WORD + b"><w:body>" + body + b"</w:body></w:document>"
    return _changed(_POLICY, {"word/document.xml": lambda _: text})


def _paragraph(text: bytes) -> bytes:
    return b"<w:p><w:r><w:t>" + text + b"</w:t></w:r></w:p>"


def _laughs(levels: int, times: int) -> bytes:
    entities = b"".join(b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * times) for n in range(1, levels))
    return b'<!DOCTYPE d [<!ENTITY e0 "laugh">' + entities + b"]>"


def _xlsx(rows: bytes, head: bytes = b"") -> bytes:
    sheet = (
        b'<?xml version="1.0"?>' + head + b"<worksheet " + _SHEET + b"><sheetData>" + rows + b"</sheetData></worksheet>"
    )
    return _changed(
        _INVENTORY, {"xl/worksheets/sheet1.xml": lambda _: sheet, "xl/worksheets/sheet2.xml": lambda _: sheet}
    )


def _many_times(text: bytes, times: int) -> bytes:
    """Return a workbook that says one string over and over, and holds it once."""
    row = b'<row><c t="s"><v>0</v></c><c t="s"><v>0</v></c></row>'
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    override = b'<Override PartName="/xl/sharedStrings.xml" ContentType="' + kind + b'"/></Types>'
    strings = b"<sst " + _SHEET + b"><si><t>" + text + b"</t></si></sst>"
    book = zipfile.ZipFile(io.BytesIO(_xlsx(row * times)))
    members = {name: book.read(name) for name in book.namelist()}
    if "xl/sharedStrings.xml" not in members:
        members["[Content_Types].xml"] = members["[Content_Types].xml"].replace(b"</Types>", override)
    return _archive(members | {"xl/sharedStrings.xml": strings})


def _cell(place: bytes, text: bytes = b"a") -> bytes:
    return b'<c r="%s" t="inlineStr"><is><t>%s</t></is></c>' % (place, text)


def _relations(bait: Bait, kinds: tuple[str, ...]) -> Change:
    """Return a change that adds relations to elsewhere."""
    base = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    more = "".join(
        f'<Relationship Id="x{number}{place[:4]}" Type="{base}{kind}" Target="{place}" TargetMode="External"/>'
        for number, kind in enumerate(kinds)
        for place in (f"{bait.address}/{kind}", f"file://{bait.secret_path}")
    )
    return lambda part: part.replace(b"</Relationships>", more.encode() + b"</Relationships>")


def _png(side: int) -> bytes:
    """Return the head of a picture that would take `side` by `side` pixels."""
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
        + bytes(64)
    )


def _patched(content: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    """Return an archive of which every head of this kind says something else."""
    found, at = bytearray(content), -1
    while (at := found.find(signature, at + 1)) != -1:
        found[at + offset : at + offset + len(value)] = value
    return bytes(found)


def _archive(members: Mapping[str, bytes]) -> bytes:
    made_in = io.BytesIO()
    with zipfile.ZipFile(made_in, "w", zipfile.ZIP_DEFLATED) as made:
        for member, part in members.items():
            made.writestr(member, part)
    return made_in.getvalue()


def _link(target: str) -> bytes:
    """Return a policy with a symbolic link in it."""
    made_in = io.BytesIO(_changed(_POLICY, {}))
    with zipfile.ZipFile(made_in, "a") as made:
        link = zipfile.ZipInfo("word/media/link")
        link.external_attr = 0o120777 << 16
        made.writestr(link, target)
    return made_in.getvalue()


def _ole(sector: bytes) -> bytes:
    """Return an OLE folder whose every chain of sectors is `sector` over and over."""
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, 1, 0, 0, 4096, 0, 1, 0, 1) + struct.pack("<I", 0) * 109
    return head + sector * 128 * 64


_BOOK = "Workbook".encode("utf-16-le")
_CLIMBING = {
    f"{up}climbed{number}": b"climbed" for number, up in enumerate(("../" * 12, "/", "..\\" * 8, "C:\\", "word/../../"))
}
_OUTSIDE = ("attachedTemplate", "image", "oleObject", "externalLink", "frame", "subDocument", "hyperlink", "video")
_STYLES_IN_A_CIRCLE = (
    b"<w:styles "
    + _WORD
    + b'><w:style w:type="paragraph" w:styleId="A"><w:name w:val="A"/><w:basedOn w:val="B"/></w:style>'
    b'<w:style w:type="paragraph" w:styleId="B"><w:name w:val="B"/><w:basedOn w:val="A"/></w:style></w:styles>'
)


def _nested_tables(levels: int) -> bytes:
    return (
        b"<w:tbl><w:tr><w:tc>" * levels + _paragraph(b"deep") + (_paragraph(b"a") + b"</w:tc></w:tr></w:tbl>") * levels
    )


CASES: dict[str, Case] = {
    "docx of blanks": Case(
        name="a.docx", make=lambda _: _docx(b" " * (300 * _MEBIBYTE)), ends=(LARGE,), takes_seconds=True
    ),
    "docx of ten thousand parts": Case(
        name="a.docx",
        make=lambda _: _changed(_POLICY, {}, {f"a{n}": b"" for n in range(10_001)}),
        ends=(LARGE,),
        takes_seconds=True,
    ),
    "docx of large parts": Case(
        takes_seconds=True,
        name="a.docx",
        make=lambda _: _changed(_POLICY, {}, {f"a{n}": bytes(30 * _MEBIBYTE) for n in range(8)}),
        ends=(LARGE,),
    ),
    "docx of parts that lie on one another": Case(
        name="a.docx",
        make=lambda _: _patched(
            _changed(_POLICY, {}, {f"a{n}": b"a" * 99 for n in range(500)}), b"PK\x01\x02", 42, bytes(4)
        ),
        ends=(BROKEN, UNKNOWN),
    ),
    "docx of a part that is endless": Case(
        name="a.docx",
        make=lambda _: _patched(_changed(_POLICY, {}), b"PK\x01\x02", 24, b"\xfe\xff\xff\xff"),
        ends=(LARGE,),
    ),
    "docx of a part that says it is small": Case(
        name="a.docx",
        make=lambda _: _patched(_docx(_paragraph(b"a" * _MEBIBYTE)), b"PK\x01\x02", 24, b"\x00\x10\x00\x00"),
        ends=(BROKEN,),
    ),
    "docx under a password": Case(
        name="a.docx", make=lambda _: _patched(_changed(_POLICY, {}), b"PK\x01\x02", 8, b"\x01\x00"), ends=(LOCKED,)
    ),
    "docx of an unknown compressor": Case(
        name="a.docx", make=lambda _: _patched(_changed(_POLICY, {}), b"PK\x01\x02", 10, b"\x63\x00"), ends=(BROKEN,)
    ),
    "docx without its end": Case(name="a.docx", make=lambda _: _changed(_POLICY, {})[:-500], ends=(BROKEN,)),
    "docx in a docx in a docx": Case(
        takes_seconds=True,
        name="a.docx",
        make=lambda _: _changed(_POLICY, {}, {"word/embeddings/a.docx": _docx(b" " * (60 * _MEBIBYTE))}),
        says=_KNOWN[_POLICY],
    ),
    "docx of climbing names": Case(
        name="a.docx", make=lambda _: _changed(_POLICY, {}, _CLIMBING), says=_KNOWN[_POLICY]
    ),
    "archive of climbing names": Case(name="a.docx", make=lambda _: _archive(_CLIMBING), ends=(UNKNOWN,)),
    "docx with a link": Case(name="a.docx", make=lambda bait: _link(bait.secret_path), says=_KNOWN[_POLICY]),
    "docx with two texts": Case(
        name="a.docx", make=lambda _: _changed(_POLICY, {}, {"word/document.xml": b"<a/>"}), ends=(READ, BROKEN, EMPTY)
    ),
    "docx that laughs": Case(
        name="a.docx", make=lambda _: _docx(_paragraph(b"&e9;"), _laughs(10, 10)), ends=(BROKEN, EMPTY)
    ),
    "docx that laughs in one breath": Case(
        name="a.docx",
        make=lambda _: _docx(_paragraph(b"&e;" * 20_000), b'<!DOCTYPE d [<!ENTITY e "' + b"a" * 100_000 + b'">]>'),
        ends=(BROKEN, EMPTY),
    ),
    "docx of outside entities": Case(
        name="a.docx",
        make=lambda bait: _docx(_paragraph(b"before &file;&web; after"), bait.entities),
        ends=(READ, BROKEN, EMPTY),
    ),
    "docx of outside relations": Case(
        name="a.docx",
        make=lambda bait: _changed(_POLICY, {"word/_rels/document.xml.rels": _relations(bait, _OUTSIDE)}),
        says=_KNOWN[_POLICY],
    ),
    "docx of fields that fetch": Case(
        name="a.docx",
        make=lambda bait: _docx(
            b'<w:p><w:fldSimple w:instr="INCLUDETEXT &quot;%s&quot;"><w:r><w:t>before</w:t></w:r></w:fldSimple></w:p>'
            % bait.secret_path.encode()
            + _paragraph(b"The sundial stands here.")
        ),
        says="sundial",
    ),
    "docx of nested tables": Case(
        name="a.docx", make=lambda _: _docx(_nested_tables(120)), ends=(READ, BROKEN), takes_seconds=True
    ),
    "docx of tables without end": Case(
        name="a.docx", make=lambda _: _docx(_nested_tables(20_000)), ends=(BROKEN, EMPTY)
    ),
    "docx of a cell that spans": Case(
        name="a.docx",
        make=lambda _: _docx(
            b'<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2000000000"/></w:tcPr>'
            + _paragraph(b"a")
            + b"</w:tc></w:tr></w:tbl>"
        ),
        ends=(READ, LARGE, LATE, BROKEN),
        takes_seconds=True,
    ),
    "docx of styles in a circle": Case(
        name="a.docx",
        make=lambda _: _changed(_POLICY, {"word/styles.xml": lambda _: _STYLES_IN_A_CIRCLE}),
        says=_KNOWN[_POLICY],
    ),
    "docx of a huge picture": Case(
        name="a.docx",
        make=lambda _: _changed(_POLICY, {}, {"word/media/image1.png": _png(100_000)}),
        says=_KNOWN[_POLICY],
    ),
    "docx of many paragraphs": Case(
        name="a.docx", make=lambda _: _docx(_paragraph(b"a b c") * 40_000), ends=(READ, LATE), takes_seconds=True
    ),
    "pptx of outside relations": Case(
        name="a.pptx",
        make=lambda bait: _changed(_REVIEW, {"ppt/slides/_rels/slide1.xml.rels": _relations(bait, _OUTSIDE)}),
        says=_KNOWN[_REVIEW],
    ),
    "pptx of outside entities": Case(
        name="a.pptx",
        make=lambda bait: _changed(
            _REVIEW,
            {
                "ppt/slides/slide1.xml": lambda part: part.replace(b"?>", b"?>" + bait.entities, 1).replace(
                    b"</a:t>", b"&file;&web;</a:t>", 1
                )
            },
        ),
        ends=(READ, BROKEN),
    ),
    "pptx of groups in groups": Case(
        name="a.pptx",
        make=lambda _: _changed(
            _REVIEW,
            {
                "ppt/slides/slide1.xml": lambda part: part.replace(
                    b"</p:spTree>", b"<p:grpSp>" * 240 + b"</p:grpSp>" * 240 + b"</p:spTree>"
                )
            },
        ),
        ends=(READ, BROKEN),
    ),
    "pptx whose slide is itself": Case(
        name="a.pptx",
        make=lambda _: _changed(
            _REVIEW,
            {
                "ppt/slides/_rels/slide1.xml.rels": lambda part: part.replace(
                    b"../slideLayouts/", b"../slides/../slides/slide1.xml?"
                )
            },
        ),
        ends=(READ, BROKEN),
    ),
    "xlsx of one string many times": Case(
        name="a.xlsx", make=lambda _: _many_times(b"a" * _MEBIBYTE, 20_000), ends=(LARGE,), takes_seconds=True
    ),
    "xlsx of one far cell": Case(
        name="a.xlsx",
        make=lambda _: _xlsx(
            b'<row r="1">' + _cell(b"A1") + b'</row><row r="1048576">' + _cell(b"XFD1048576") + b"</row>"
        ),
        takes_seconds=True,
    ),
    "xlsx of far cells": Case(
        name="a.xlsx",
        make=lambda _: _xlsx(b"".join(b'<row r="%d">' % n + _cell(b"XFD%d" % n) + b"</row>" for n in range(1, 1_500))),
        ends=(READ, LARGE, LATE),
        takes_seconds=True,
    ),
    "xlsx that says it is huge": Case(
        name="a.xlsx",
        make=lambda _: _changed(
            _INVENTORY,
            {
                "xl/worksheets/sheet1.xml": lambda part: part.replace(
                    b"<sheetData>", b'<dimension ref="A1:XFD1048576"/><sheetData>', 1
                )
            },
        ),
        says=_KNOWN[_INVENTORY],
    ),
    "xlsx of a merged sheet": Case(
        name="a.xlsx",
        make=lambda _: _changed(
            _INVENTORY,
            {
                "xl/worksheets/sheet1.xml": lambda part: part.replace(
                    b"</sheetData>", b'</sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>', 1
                )
            },
        ),
        says=_KNOWN[_INVENTORY],
    ),
    "xlsx of formulas that fetch": Case(
        name="a.xlsx",
        make=lambda bait: _xlsx(b'<row r="1"><c r="A1"><f>WEBSERVICE("%s")</f></c></row>' % bait.address.encode()),
        ends=(EMPTY,),
    ),
    "xlsx of outside entities": Case(
        name="a.xlsx",
        make=lambda bait: _xlsx(b'<row r="1">' + _cell(b"A1", b"&file;&web;") + b"</row>", bait.entities),
        ends=(BROKEN, EMPTY),
    ),
    "xlsx of numbers that are none": Case(
        name="a.xlsx",
        make=lambda _: _xlsx(
            b'<row r="1"><c r="A1"><v>1e999999999</v></c><c r="B1"><v>' + b"9" * 200_000 + b"</v></c></row>"
        ),
        ends=(READ, BROKEN),
    ),
    "xlsx of a row without end": Case(
        name="a.xlsx",
        make=lambda _: _xlsx(b'<row r="1">' + _cell(b"A1") * 300_000 + b"</row>"),
        ends=(READ, LARGE),
        takes_seconds=True,
    ),
    "xls in a circle": Case(name="a.xls", make=lambda _: _ole(bytes(4)) + _BOOK, ends=(BROKEN,)),
    "xls of rubbish": Case(name="a.xls", make=lambda _: _ole(b"\x09\x08\x10\x00") + _BOOK, ends=(BROKEN,)),
    "msg in a circle": Case(
        name="a.msg",
        make=lambda _: _ole(bytes(4)) + "__properties_version1.0".encode("utf-16-le"),
        ends=(BROKEN, LATE),
        takes_seconds=True,
    ),
}
