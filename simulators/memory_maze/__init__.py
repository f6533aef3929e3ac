"""Memory Maze as a simulator."""
