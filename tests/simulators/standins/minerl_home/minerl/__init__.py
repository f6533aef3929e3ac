"""A stand-in for MineRL's Python side, of which version is in the environment."""

import os

if os.environ.get("STANDIN_MINERL") != "1.0":
    __version__ = "0.4.4"
