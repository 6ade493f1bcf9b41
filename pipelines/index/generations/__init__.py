"""Another index beside the one that answers: built, kept in step, measured, until it takes its place."""
