"""Data sets of others, brought into this project's format once, with actions aligned to its time.

One module per format, each with an `Importer`; `run` does what is common to all: splits, seeds,
workers, resuming, and that nothing is left half-written. See docs/data-sets.md.
"""
