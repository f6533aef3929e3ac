"""The pure step of a world, its state, its noise, and the backends that run it."""
