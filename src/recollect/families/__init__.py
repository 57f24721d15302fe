"""4 · What models alike share, one file per family."""
