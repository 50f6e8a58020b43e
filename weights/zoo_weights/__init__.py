"""Trained weights of the specs that come with zoo: share files, found through an entry point and never executed."""
