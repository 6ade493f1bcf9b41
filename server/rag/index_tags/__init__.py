"""Names for versions of the index: what is tagged stays, and can be asked again."""
