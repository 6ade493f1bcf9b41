"""The care of secrets: those that end are told of in time, those that were deleted end."""
