"""Data sets made from other data sets."""
