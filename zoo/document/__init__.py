"""YAML documents: strict reading to nodes with places, merging, and diagnostics."""
