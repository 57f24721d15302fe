"""10 · A service: a saved model and a database answer over HTTP; every answer knows every rating.

settings.py     what a server is started with
store/          ratings, events, items, lists, versions and keys in SQLite or PostgreSQL
answers/        a list, predictions, similar items, from a model and what the store knows now
learning/       newer ratings reach the model: updates, a refit beside the service, a gate, a swap
api/            the endpoints, one file for each group; keys, limits, errors
page/           the page at `/`
server.py       the processes that listen
client.py       a client whose retries change nothing
"""
