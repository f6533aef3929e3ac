"""What image metrics do not see: memory, obedience, maps, drift and rare events (docs/probes.md).

Each probe takes arrays and gives a `Section`: numbers with intervals, beside what chance and the
simulator itself would get. `run.py` feeds them a world and a data set.
"""
