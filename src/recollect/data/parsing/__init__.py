"""Lines of text, columns and the roles they play."""
