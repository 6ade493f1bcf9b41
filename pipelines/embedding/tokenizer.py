"""The model's own tokenizer, twice: whole texts with character offsets for cutting, windows of ids for the model."""

import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer as _Tokenizer

# What the model was trained to read, [CLS] and [SEP] included (its sentence_bert_config.json).
WINDOW_TOKENS = 256
_SPECIAL_TOKENS = 2

# A lone surrogate is legal in a Python string and has no UTF-8; one character stands in for one, so offsets hold.
_SURROGATE = re.compile("[\ud800-\udfff]")


def _encodable(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


class WordPieceTokenizer:
    """Safe to use from several threads: both instances are set up once and only read afterwards."""

    max_tokens = WINDOW_TOKENS - _SPECIAL_TOKENS

    def __init__(self, file: Path) -> None:
        # The file asks for truncation and padding to 128, which would cut texts and change their vectors.
        self._whole = _Tokenizer.from_file(str(file))
        self._whole.no_truncation()
        self._whole.no_padding()
        self._window = _Tokenizer.from_file(str(file))
        self._window.enable_truncation(WINDOW_TOKENS)
        self._window.no_padding()

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) character offsets of each content token of `text`, in order.

        Several tokens may share a span (a Hangul syllable is decomposed), and characters the model cannot see
        (controls, combining marks) may lie in none.
        """
        spans: list[tuple[int, int]] = self._whole.encode(_encodable(text), add_special_tokens=False).offsets
        return spans

    def windows(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the model's input ids of each text, [CLS] and [SEP] included, cut to the window."""
        return [encoding.ids for encoding in self._window.encode_batch_fast([_encodable(text) for text in texts])]
