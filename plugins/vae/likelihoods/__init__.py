"""Likelihoods of data given the output of a decoder."""
