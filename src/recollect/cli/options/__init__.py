"""Groups of options that several verbs share."""
