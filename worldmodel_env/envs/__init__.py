"""Gymnasium environments whose transitions a world model imagines."""
