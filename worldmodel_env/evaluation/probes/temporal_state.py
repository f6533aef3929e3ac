"""What a world's temporal transformer holds at each frame, looking on and dreaming."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from worldmodel_env.evaluation.probes.clips import Clips
from worldmodel_env.evaluation.probes.rollout import noise_keys
from worldmodel_env.imagination.noise import uniform
from worldmodel_env.imagination.step import Imagination, State
from worldmodel_env.imagination.window import frames_seen, make_room

BATCH = 16


@dataclass(frozen=True)
class Traces:
    """Features of N episodes that foretell the frames 1 .. L-1; entry t is about frame t+1.

    Attributes:
        memory: (N, L-1, D) float32, the temporal transformer's output: what all frames up to t and
            the action after them say of frame t+1.
        glance: (N, L-1, G) float32, the code vectors of frame t and the action's: what one look
            and the action say.
    """

    memory: NDArray[np.float32]
    glance: NDArray[np.float32]


@torch.no_grad()
def trace(
    model: Imagination, clips: Clips, context: int, *, seed: int = 0, progress: bool = True
) -> Traces:
    """Run episodes through a world and keep its temporal state.

    Args:
        model: the world's model.
        clips: N episodes of L frames.
        context: true frames that are observed; the rest is imagined with the recorded actions.
            L observes them all.
        seed: of the imagination.
        progress: show a bar.
    """
    memory: list[NDArray[np.float32]] = []
    glance: list[NDArray[np.float32]] = []
    starts = range(0, len(clips), BATCH)
    for start in tqdm(starts, desc="trace", unit="batch", disable=None if progress else True):
        rows = slice(start, start + BATCH)
        batch = clips.rows(rows)
        found = _batch(model, batch, context, noise_keys(batch.seeds, seed))
        memory.append(found[0].numpy())
        glance.append(found[1].numpy())
    return Traces(np.concatenate(memory), np.concatenate(glance))


def _batch(
    model: Imagination, clips: Clips, context: int, seeds: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    place = model.teco.start.device
    frames = torch.from_numpy(clips.frames)
    actions = torch.from_numpy(clips.actions).to(place)
    keys = torch.from_numpy(seeds).to(place)
    count = torch.Size(model.noise_shape).numel()
    state = model.begin(model.vqgan.encode(frames[:, 0].to(place)))
    memory, glance = [], []
    for t in range(clips.length - 1):
        state = make_room(model, state)
        memory.append(temporal_output(model, state, actions[:, t]).float().cpu())
        look = model.teco.vectors(state["codes"]).flatten(1)
        glance.append(torch.cat([look, model.teco.action(actions[:, t])], 1).float().cpu())
        if t + 1 < context:
            state = model.observe(state, frames[:, t + 1].to(place), actions[:, t])
        else:
            noise = uniform(keys, frames_seen(state), count).view(len(keys), *model.noise_shape)
            state, _ = model.step(state, actions[:, t], noise)
    return torch.stack(memory, 1), torch.stack(glance, 1)


def temporal_output(model: Imagination, state: State, action: Tensor) -> Tensor:
    """The temporal transformer's output (B, S*D) for the frame that `action` leads to."""
    teco = model.teco
    tokens = teco.tokens(state["latent"], teco.action(action))
    out, _ = teco.temporal.step(tokens, state)
    return out.flatten(1)
