"""Ratings that memory cannot hold."""
