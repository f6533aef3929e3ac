"""DeepMind Lab as a simulator."""
