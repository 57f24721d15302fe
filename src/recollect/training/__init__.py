"""4 · Help a model may call while it learns."""
