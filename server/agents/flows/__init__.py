"""Flows as people keep them: written, checked, in versions that never change, published and taken back."""
