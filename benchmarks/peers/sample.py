"""Which of the chunks have their vectors compared."""

SAMPLE = 16


def sampled(chunks: int) -> list[int]:
    """Return up to `SAMPLE` positions, spread evenly from the first chunk on."""
    return [chunks * index // SAMPLE for index in range(SAMPLE)] if chunks > SAMPLE else list(range(chunks))
