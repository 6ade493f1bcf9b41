"""Documents as lists of elements: by hand for one example, and drawn at random for properties."""

from hypothesis import strategies as st

from pipelines.document import ChunkingConfig, ChunkingStrategy, Element, ElementKind

# What has broken chunkers: tokens that share a character, characters without tokens, words cut into other word pieces,
# words too long for the model, separators alone, special tokens spelled out, lone surrogates.
_AWKWARD = [
    *["a", "play", "internationalization", "playing.", "12.5", "e.g. ", "Mr. ", "[CLS]", "x" * 130],
    *["한국어", "日本語。", "ภาษาไทย", "e\u0301", "\u0301", "😀", "👩\u200d👧", "ﬁ", "İ", "\U0001d160", "\ud800"],
    *[" ", "   ", "\n", "\n\n", "\t", "\x00", "\u200b", ". ", "! ", ", ", "; ", " — ", "..........", "\u2028"],
]

texts = st.lists(st.sampled_from(_AWKWARD) | st.text(max_size=8), max_size=60).map("".join)

elements = st.builds(
    Element,
    kind=st.sampled_from(ElementKind),
    text=texts,
    page=st.none() | st.integers(1, 3),
    section=st.sampled_from([None, "One", "Two"]),
)


@st.composite
def chunking_configs(draw: st.DrawFn) -> ChunkingConfig:
    chunk_tokens = draw(st.integers(4, 40) | st.integers(200, 300))
    return ChunkingConfig(chunk_tokens=chunk_tokens, overlap_tokens=draw(st.integers(0, chunk_tokens - 1)))


def config(chunk_tokens: int, overlap_tokens: int = 0) -> ChunkingConfig:
    return ChunkingConfig(strategy=ChunkingStrategy.RECURSIVE, chunk_tokens=chunk_tokens, overlap_tokens=overlap_tokens)


def paragraph(text: str, *, page: int | None = None, section: str | None = None) -> Element:
    return Element(kind=ElementKind.TEXT, text=text, page=page, section=section)


def title(text: str, *, page: int | None = None) -> Element:
    return Element(kind=ElementKind.TITLE, text=text, page=page, section=text)
