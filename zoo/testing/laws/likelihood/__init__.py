"""The laws of likelihoods."""
