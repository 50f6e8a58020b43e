"""Ways from uniform numbers to a draw."""
