"""Exports of a world's step to other runtimes; in this version it runs in PyTorch only."""
