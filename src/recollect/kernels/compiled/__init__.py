"""Loops compiled by Numba, and how they share the cores. What they compute is in `reference`."""
