"""6 · How good is it."""
