"""Small pictures for the Dagster UI, as Markdown that carries its own PNG."""

import base64
import io
from collections.abc import Sequence

import dagster as dg

_INCHES = (5.0, 2.2)
_DOTS_PER_INCH = 90
_BINS = 30


def histogram(values: Sequence[float], *, title: str, of: str) -> dg.MarkdownMetadataValue:
    """Return how `values` are spread; `of` names their unit."""
    if not values:
        return dg.MetadataValue.md(f"_{title}: nothing to show._")
    # Imported here: seconds that neither a code server nor a sensor needs. No pyplot: it keeps figures for ever.
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, layout="constrained")
    axes = figure.subplots()
    axes.hist(values, bins=min(_BINS, len(set(values)) + 1), color="#4f43dd")
    axes.set(title=title, xlabel=of)
    axes.spines[["top", "right"]].set_visible(False)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=_DOTS_PER_INCH)
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png.getvalue()).decode()})")
