"""Array to array."""
