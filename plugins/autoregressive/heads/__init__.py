"""What a network says of a number before it is known: distributions over its levels."""
