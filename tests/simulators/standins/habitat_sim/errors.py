"""The library's exceptions."""


class GreedyFollowerError(RuntimeError):
    pass
