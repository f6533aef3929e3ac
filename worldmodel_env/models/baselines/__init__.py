"""Small, honest members of the families that TECO was compared with, one file each.

All of them model the tokenizer's code grids, as TECO does, and share what `codes.py` says. The
fourth baseline, the last frame copied, needs no model: `evaluation/predictor.py`.
"""
