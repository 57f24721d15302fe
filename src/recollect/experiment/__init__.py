"""7 · Experiments: a TOML file becomes runs, runs become results on disk.

file      what the file says: parts, tables, runs, the paper's claims; checked before any work
results   one JSON file per run, named by what it was made from
work      runs that are not there yet, each in a fresh process
"""
