"""The pure engine: it walks a flow over a journal, and knows of neither HTTP nor SQL."""
