"""What a temporal transformer remembers, and the refusal of what another one remembers."""

import torch
from torch import Tensor

from worldmodel_env.errors import InputError

State = dict[str, Tensor]
"""`cache`, `index` and, with a memory, `memory`: see `TemporalTransformer.begin`."""


def check_tokens(x: Tensor, tokens: int) -> None:
    """InputError unless the frames (B, T, S, D) have S = `tokens`."""
    if x.shape[2] != tokens:
        raise InputError(
            f"a frame has {x.shape[2]} tokens, but the model was trained with {tokens}, all of "
            "which a memory learns at once; give frames of the model's own grid and "
            "temporal_stride."
        )


def check_cache(state: State, expected: tuple[int, ...]) -> None:
    """InputError unless a row of the cache is `expected`: (L, 2, heads, frames, S, d)."""
    found = tuple(state["cache"].shape[1:])
    if found == expected:
        return
    if len(found) == len(expected) and found[3] != expected[3]:
        raise InputError(
            f"the state's cache keeps {found[3]} frames, but the model's window and sink are "
            f"{expected[3]} frames; begin a state with this model."
        )
    raise InputError(
        f"a row of the state's cache is {found}, expected {expected}; begin a state with this "
        "model."
    )


def check_memory(state: State, rule: str, expected: tuple[int, ...] | None) -> None:
    """InputError unless the state has what `rule` keeps: `expected` numbers a row, or nothing."""
    memory = state.get("memory")
    if memory is None or expected is None:
        if memory is expected:
            return
        found = "no memory" if memory is None else "a memory"
        raise InputError(
            f"the state has {found}, but the model's memory is {rule!r}; begin a state with this "
            "model."
        )
    if (shape := tuple(memory.shape[1:])) != expected:
        raise InputError(
            f"a row of the state's memory is {shape}, but {rule!r} keeps {expected}: it is another "
            "mixer's; begin a state with this model."
        )
    if memory.dtype != torch.float32:
        raise InputError(
            f"the state's memory is {memory.dtype}, in which small updates are lost; keep the "
            "float32 that the model began with."
        )
