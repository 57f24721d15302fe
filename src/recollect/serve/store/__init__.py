"""What a service must not lose: one interface, with SQLite or PostgreSQL below it.

database.py     the interface: read, write in a transaction, insert in bulk
sqlite.py       a file
postgres.py     a server, by its address
schema.py       the tables, by version, and how an older file becomes a newer one
writer.py       one thread that writes for all, several requests in a commit
store.py        a database with its writer; `open_store`
records.py      what goes in and comes out
log.py          events and ratings
items.py  users.py  lists.py  versions.py  keys.py  jobs.py  experiments.py     the queries on each
tables.py       import, export, move and check
"""
