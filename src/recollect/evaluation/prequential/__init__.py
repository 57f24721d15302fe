"""Prequential evaluation: each rating is predicted before it is learned from, in order of time.

protocol    prequential: predict, score, learn, and who does it how
ways        frozen, fold_in, update, refit
result      the error or gain of every event, in sliding windows, and the time an event takes
"""
