"""The verbs about data: list, fetch, describe, convert, store, plant; a module each."""
