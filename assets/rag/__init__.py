"""The ingestion recipe as assets over hash buckets, its checks, and what starts it."""
