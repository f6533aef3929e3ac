"""A page in the browser to walk through an imagined world (docs/playing.md)."""
