"""Habitat-Sim as a simulator."""
