"""Disentanglement metrics: how well the dimensions of a code match the factors of the data."""
