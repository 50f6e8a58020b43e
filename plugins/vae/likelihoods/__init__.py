"""Likelihoods of data given a decoder's answer."""
