"""Toys of other families."""
