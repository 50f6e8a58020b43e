"""Generators and discriminators of the published networks."""
