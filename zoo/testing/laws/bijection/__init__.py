"""The laws of bijections."""
