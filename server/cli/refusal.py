"""Saying no on the terminal: one sentence that names what to change, and a status that scripts see."""

import sys


class Refusal(Exception):
    """The command cannot do its work; the message is a sentence for the person who typed it."""


def refuse(sentence: str) -> int:
    print(f"CodexOS: {sentence}", file=sys.stderr)
    return 1
