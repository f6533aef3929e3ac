"""Where things that can be made again are kept, per user."""

import os
from pathlib import Path


def user_cache() -> Path:
    """`$XDG_CACHE_HOME/worldmodel-env`, or `~/.cache/worldmodel-env`; may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "worldmodel-env"
