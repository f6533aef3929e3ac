"""Training: one loop per stage, read top to bottom, over a few small helpers."""
