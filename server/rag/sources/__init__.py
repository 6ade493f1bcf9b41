"""Sources of many documents, crawled when they are due."""
