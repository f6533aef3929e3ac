"""A world of the preset `nano` with random weights: all but the training, in milliseconds."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from worldmodel_env.imagination.step import Imagination, Sampling
from worldmodel_env.imagination.world import World, WorldConfig
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.teco import Teco, TecoConfig
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset

SPACES = {
    "discrete": spaces.Discrete(3),
    "multi": spaces.MultiDiscrete([3, 2]),
    "box": spaces.Box(np.array([-1, 0], np.float32), np.array([1, 1], np.float32)),
}
MOTION = ((1 / 16, 0.0, 0.0), (-1 / 16, 0.0, 0.0), (0.0, 1.0, 0.0))
"""Left, right, forward, as of SimMaze-v0."""


def nano_teco(kind: str = "discrete") -> TecoConfig:
    """The preset's world model for one of the toy environment's action spaces."""
    return replace(load_preset("nano").teco, actions=ActionConfig.of(SPACES[kind]))


def make_nano(
    kind: str = "discrete",
    *,
    resolution: int = 32,
    starts: int = 12,
    steps: int = 2,
    seed: int = 0,
    first_frame: bool = False,
    endless: bool = False,
    recall: int = 0,
    **temporal: Any,
) -> World:
    """A world with random weights that hardly ever ends an episode.

    Args:
        kind: action space, a key of `SPACES`.
        resolution: of the frames: 32, or 64 for networks that refuse smaller ones.
        starts: first frames to begin with.
        steps: passes of the prior.
        seed: of weights and starts.
        first_frame: it can imagine one.
        endless: it never ends an episode, for tests whose noise has no seed.
        recall: frames that it recalls by place; its actions are then left, right and forward.
        **temporal: fields of `TemporalConfig` that differ from the preset's.
    """
    preset = load_preset("nano")
    patch = preset.vqgan.patch * resolution // preset.vqgan.resolution
    vqgan = replace(preset.vqgan, resolution=resolution, patch=patch)
    teco_config = replace(nano_teco(kind), first_frame=first_frame)
    if recall:
        teco_config = replace(teco_config, recall=recall, motion=MOTION)
    if temporal:
        teco_config = replace(teco_config, temporal=replace(teco_config.temporal, **temporal))
    config = WorldConfig(vqgan, teco_config, Sampling(steps=steps), max_episode_steps=40)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Imagination(Vqgan(vqgan), Teco(config.teco), config.sampling)
    teco = model.teco.requires_grad_(False)
    if recall:
        # Untrained, they add nothing.
        generator = torch.Generator().manual_seed(seed)
        teco.skip.recalled.weight.normal_(std=0.3, generator=generator)
        teco.recall.odometer.layers[-1].weight.normal_(std=5.0, generator=generator)
    teco.code_vectors.copy_(model.vqgan.codebook.vectors())
    # Untrained, the head would end every other step, and pay nothing.
    last = teco.outcome_head.mlp[-1]
    last.weight.normal_(std=0.3, generator=torch.Generator().manual_seed(seed))
    last.bias[-1] = -7.0
    if endless:
        last.weight[-1] = 0
        last.bias[-1] = -100.0
    rng = np.random.default_rng(seed)
    grid = vqgan.grid
    return World(
        name="nano",
        config=config,
        action_space=SPACES[kind],
        weights=model.state_dict(),
        starts=rng.integers(0, vqgan.n_codes, (starts, grid, grid)).astype(np.uint16),
        provenance={"preset": "nano", "training": "none"},
    )
