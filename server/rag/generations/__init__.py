"""Index generations: built beside the one that answers, measured, promoted, rolled back."""
