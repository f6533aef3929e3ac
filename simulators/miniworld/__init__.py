"""MiniWorld as a simulator."""
