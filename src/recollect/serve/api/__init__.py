"""The endpoints. All that is not a page, health or metrics lies under `/v1`.

app.py          puts them together
middleware.py   around each request: its size, its seconds, its line in the log
errors.py       one shape for all errors
fields.py       what ids, ratings and times may be
needs.py        the service and the scope that an endpoint needs
health.py  ratings.py  events.py  recommendations.py  predictions.py  items.py  users.py
models.py  experiments.py  export.py      a group of endpoints each
"""
