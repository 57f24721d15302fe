"""From a file to numbers: lines of text, columns and their roles, ids, ratings and times."""
