"""Training loops: one file per stage, read top to bottom, over a few small helpers."""
