"""The verbs of a service: serve, and those on its store and its keys."""
