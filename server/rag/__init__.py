"""The retrieval room: documents in, answers out, each tenant its own."""
