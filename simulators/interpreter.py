"""Starting this interpreter again, with the same modules in reach."""

import json
import os
import sys

_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from {} import main; main()"


def command(module: str, *arguments: str) -> list[str]:
    """What to run for `main()` of one of our modules in a fresh process.

    The child finds modules where this process does. PYTHONPATH would do that too, but would also
    reach the interpreters that the child starts, which may be others.
    """
    paths = [os.path.abspath(path) for path in sys.path]
    return [sys.executable, "-c", _BOOT.format(module), json.dumps(paths), *arguments]
