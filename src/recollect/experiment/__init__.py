"""9 · Experiments: a TOML file becomes runs, runs become records on disk.

spec      what a file describes: parts, tables, runs, the paper's claims
parse     reads the file and checks it before any work: parts, runs, and checks
tuned     whether ratings that chose settings are test ratings
planner   which jobs have no record yet
runner    does them, each in a process of its own
results   the records: one JSON file per job, named by what decides its figures
carried   rows of an earlier release whose records are lost
tune      chooses settings by the validation ratings
"""
