"""Minecraft, through MineRL, as a simulator."""
