"""Index generations in the workshop: built, kept in step, held against golden questions."""
