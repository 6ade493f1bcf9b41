"""The safe over HTTP: secrets are stored, given out, versioned, and gone when they are destroyed."""
