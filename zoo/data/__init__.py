"""Batches of a data set, on a device."""
