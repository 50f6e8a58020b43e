"""Disentanglement: how far the parts of a code are the factors that the data was made from."""
