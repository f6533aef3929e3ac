"""What a temporal transformer remembers, and the refusal of what another one remembers."""

import torch
from torch import Tensor

from worldmodel_env.errors import InputError

State = dict[str, Tensor]
"""Keys and values of each layer, `index`, perhaps `memory`: see `TemporalTransformer.begin`."""

Ring = tuple[Tensor, Tensor]
"""A layer's raw keys and values, each (B, heads, sink + window, S, d)."""


def ring_names(layer: int) -> tuple[str, str]:
    """What a state calls a layer's keys and values.

    Tensors of their own, since cutting one that holds all layers, and joining it again, took a
    fifth of the time of a batch of exported steps.
    """
    return f"keys_{layer}", f"values_{layer}"


def is_ring(name: str) -> bool:
    """Whether a state's tensor holds keys or values."""
    return name.startswith(("keys_", "values_"))


def rings(state: State, layers: int) -> list[Ring]:
    """Keys and values of each layer."""
    return [(state[keys], state[values]) for keys, values in map(ring_names, range(layers))]


def check_tokens(x: Tensor, tokens: int) -> None:
    """InputError unless the frames (B, T, S, D) have S = `tokens`."""
    if x.shape[2] != tokens:
        raise InputError(
            f"a frame has {x.shape[2]} tokens, but the model was trained with {tokens}, all of "
            "which a memory learns at once; give frames of the model's own grid and "
            "temporal_stride."
        )


def check_rings(state: State, layers: int, expected: tuple[int, ...]) -> None:
    """InputError unless there are as many, a row being `expected`: (heads, frames, S, d)."""
    kept = sorted(filter(is_ring, state))
    if kept != sorted(name for layer in range(layers) for name in ring_names(layer)):
        raise InputError(
            f"the state keeps {', '.join(kept) or 'no keys and values'}, but the model has "
            f"{layers} layers; begin a state with this model."
        )
    for name in kept:
        found = tuple(state[name].shape[1:])
        if len(found) == len(expected) and found[1] != expected[1]:
            raise InputError(
                f"the state's {name} are of {found[1]} frames, but the model's window and sink are "
                f"{expected[1]} frames; begin a state with this model."
            )
        if found != expected:
            raise InputError(
                f"a row of the state's {name} is {found}, expected {expected}; begin a state with "
                "this model."
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
