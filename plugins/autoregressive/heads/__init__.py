"""Heads: distributions of a number over its levels."""
