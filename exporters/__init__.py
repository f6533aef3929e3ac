"""Command lines that export a world's step to other runtimes and check what they wrote."""
