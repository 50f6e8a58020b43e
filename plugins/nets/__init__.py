"""Networks that condition, encode and decode."""
