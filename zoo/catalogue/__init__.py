"""Catalogue of installed components, in words and as JSON Schema, without importing torch."""
