"""Past the window of a model with absolute positions: stop there, or read the last frames again.

Models with window-relative positions slide and never come here.
"""

import torch
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import Imagination, State
from worldmodel_env.models.temporal import TemporalConfig


def frames_seen(state: State) -> Tensor:
    """(B,) int64: frames that each row has been through, which counts its noise."""
    return state.get("clock", state["index"])


def refuse_full(temporal: TemporalConfig, state: State) -> None:
    """InputError if a row has filled the window of a model that knows no positions beyond it."""
    if temporal.positions == "absolute" and bool((state["index"] >= temporal.window).any()):
        raise InputError(
            f"the roll-out has filled the model's window of {temporal.window} frames, beyond which "
            "it knows no positions; end the episode there, or set sampling.refill to the number of "
            "frames to read again."
        )


def make_room(model: Imagination, state: State) -> State:
    """The state, with room for one more frame in every row.

    A full row is begun again with the oldest of its last `sampling.refill` frames and observes the
    others; what lay before is forgotten. At refill R of a window of W frames this happens every
    W - R frames.

    Raises:
        InputError: a row's window is full and the sampling has no `refill`.
    """
    window = model.teco.cfg.temporal.window
    if not model.bounded:
        return state
    full = state["index"] >= window
    if not bool(full.any()):
        return state
    if not model.sampling.refill:
        refuse_full(model.teco.cfg.temporal, state)
    # The whole batch, so that a row's numbers do not depend on which others are full.
    history, taken = state["history"], state["taken"]
    fresh = model.begin(history[:, 0])
    for t in range(1, history.shape[1]):
        fresh = model.observe_codes(fresh, history[:, t], taken[:, t])
    fresh |= {"clock": state["clock"], "history": history, "taken": taken}

    def chosen(name: str, old: Tensor) -> Tensor:
        return torch.where(full.view(-1, *[1] * (old.ndim - 1)), fresh[name].to(old.dtype), old)

    return {name: chosen(name, old) for name, old in state.items()}
