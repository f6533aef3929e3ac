"""Horizons in buckets that grow with the distance."""

from itertools import pairwise

FIRST = (1, 2, 6, 11, 26, 51, 101, 201, 401, 801, 1601, 3001)
"""First horizon of each bucket."""


def buckets(horizon: int) -> list[tuple[int, int]]:
    """First and last horizon of each bucket up to `horizon`, both included."""
    edges = [edge for edge in FIRST if edge <= horizon] + [horizon + 1]
    return [(low, high - 1) for low, high in pairwise(edges)]
