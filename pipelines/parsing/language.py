"""What unstructured is told about language."""

# Detecting the language costs more than partitioning, and nothing downstream reads the answer.
LANGUAGES = ["eng"]
