"""Sources of documents, crawled by Dagster when they are due."""
