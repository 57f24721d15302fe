"""What verbs print: answers, tables, progress, curves."""
