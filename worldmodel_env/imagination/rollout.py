"""Open-loop roll-outs: real context, then imagination under given actions."""

import torch
from torch import Tensor

from worldmodel_env.imagination.noise import uniform
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.imagination.window import make_room


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
