"""Array to bytes."""
