"""ViZDoom scenarios as simulators."""
