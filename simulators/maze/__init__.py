"""The embedded simulator: ViZDoom mazes after TECO's DMLab recipe."""
