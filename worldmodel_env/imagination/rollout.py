"""Open-loop roll-outs: real context, then imagination under given actions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from worldmodel_env.imagination.noise import uniform
from worldmodel_env.imagination.step import Imagination, State
from worldmodel_env.imagination.window import frames_seen, make_room


@torch.no_grad()
def replay(
    model: Imagination, context: Tensor, actions: Tensor, horizon: int, *, key: int
) -> Tensor:
    """Imagine `horizon` frames after a context.

    Args:
        model: the world.
        context: codes (B, C, 2g, 2g) of the real frames 0 .. C-1.
        actions: (B, >= C-1+horizon) or (B, ..., k); actions[:, t] leads from frame t to t+1.
        horizon: frames to imagine.
        key: of the noise; row i uses key + i.

    Returns:
        uint8 (B, horizon, R, R, 3): frames C .. C+horizon-1.
    """
    batch, length = context.shape[:2]
    keys = key + torch.arange(batch, device=context.device)
    state = model.begin(context[:, 0])
    for t in range(1, length):
        state = model.observe_codes(make_room(model, state), context[:, t], actions[:, t - 1])
    frames = []
    count = torch.Size(model.noise_shape).numel()
    for t in range(length - 1, length - 1 + horizon):
        noise = uniform(keys, torch.full_like(keys, t), count).view(batch, *model.noise_shape)
        state, imagined = model.step(make_room(model, state), actions[:, t], noise)
        frames.append(imagined.frame)
    return torch.stack(frames, 1)


@dataclass(frozen=True)
class Dream:
    """A roll-out of K frames that is kept to be looked at, without its pictures.

    Attributes:
        begin: the state before the first imagined frame.
        latents: (B, K+1, e, g, g), what is new in the frame of `begin` and in the imagined ones.
        codes: (B, K+1, 2g, 2g) int64 of the same frames.
        drawn: (B, K, g, g) int64 latent codes from the prior; None if it was not asked.
    """

    begin: State
    latents: Tensor
    codes: Tensor
    drawn: Tensor | None


@torch.no_grad()
def dream(model: Imagination, state: State, actions: Tensor, keys: Tensor) -> Dream:
    """Imagine K frames after a state, as an environment would with the same keys.

    Args:
        model: the world.
        state: of B roll-outs.
        actions: (B, K) or (B, K, k).
        keys: (B,) int64 of the noise.
    """
    begin, latents, codes, drawn = state, [state["latent"]], [state["codes"]], []
    shape = model.noise_shape
    count = torch.Size(shape).numel()
    for action in actions.unbind(1):
        noise = uniform(keys, frames_seen(state), count).view(-1, *shape)
        state, guess = model.imagine(make_room(model, state), action, noise)
        latents.append(state["latent"])
        codes.append(state["codes"])
        drawn.append(guess.z_codes)
    return Dream(
        begin=begin,
        latents=torch.stack(latents, 1),
        codes=torch.stack(codes, 1),
        drawn=torch.stack(known, 1) if (known := [z for z in drawn if z is not None]) else None,
    )
