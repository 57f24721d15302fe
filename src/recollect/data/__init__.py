"""1 · A file becomes Ratings."""
