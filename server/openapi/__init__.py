"""The one registry: routes state their contract once; validation and the published document are derived from it."""
