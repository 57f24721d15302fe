"""5 · One file per model; the listing is the catalogue."""
