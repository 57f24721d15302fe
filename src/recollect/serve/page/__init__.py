"""The page at `/`: rendered here, with one small script and no build step."""
