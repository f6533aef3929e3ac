"""What options of several commands mean."""

from worldmodel_env.errors import InputError


def parse_shard(text: str) -> tuple[int, int]:
    """`k/n` as two numbers."""
    try:
        k, n = (int(part) for part in text.split("/"))
    except ValueError:
        raise InputError(f"--shard is {text!r}; give k/n, such as 0/4.") from None
    return k, n


def set_threads(threads: int | None) -> None:
    """Let torch use so many CPU threads; None leaves it all cores."""
    import torch

    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads is {threads}; give 1 or more.")
        torch.set_num_threads(threads)
