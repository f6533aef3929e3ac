"""Walks as episodes of the project's own format."""

import json
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data import schema
from worldmodel_env.data.episode import Episode
from worldmodel_env.imagination.world import World
from worldmodel_env.play.truth import Simulator
from worldmodel_env.play.walk import Walk

SPLIT = "test"
"""Walks lead through held-out mazes, which are not to be trained on."""


def imagined_episode(walk: Walk, number: int, actions: NDArray[np.int64], world: World) -> Episode:
    """The walk up to now as the world showed it.

    Args:
        walk: of at least one step.
        number: of the recording.
        actions: (T,), of the world's action space.
        world: that was walked in.
    """
    scenes = walk.scenes[1:]
    tunings = [scene.tuning for scene in scenes]
    attributes = {
        **_common(walk, number, world),
        "simulator": "TecoMaze-v0",
        "env_kwargs": json.dumps({"world": world.name}),
        "world_version": world.version,
        "world_digest": world.digest,
        "noise_seed": walk.origin.seed,
        # -1 where the world did not imagine the frame but was shown it.
        "sampling_steps": np.array([-1 if t is None else t.steps for t in tunings]),
        "sampling_temperature": np.array([-1.0 if t is None else t.temperature for t in tunings]),
    }
    terminations = np.array([scene.ended for scene in scenes], np.bool_)
    return Episode(
        observations=np.stack([scene.frame for scene in walk.scenes]),
        actions=actions,
        rewards=np.array([scene.reward for scene in scenes], np.float32),
        terminations=terminations,
        truncations=_truncations(terminations),
        attributes=attributes,
    )


def true_episode(
    walk: Walk, number: int, actions: NDArray[np.int64], world: World, simulator: Simulator
) -> Episode | None:
    """The same walk in the simulator, up to its own end; None if it stood still all the while."""
    sights = [scene.truth for scene in walk.scenes if scene.truth is not None]
    end = next((i for i, sight in enumerate(sights) if sight.ended), len(sights) - 1)
    if end == 0:
        return None
    sights = sights[: end + 1]
    poses = [sight.pose for sight in sights if sight.pose is not None]
    attributes = {
        **_common(walk, number, world),
        "simulator": simulator.name,
        "env_kwargs": json.dumps(dict(simulator.kwargs)),
        "reset_seed": schema.SEED_BASE[SPLIT] + walk.origin.start,
        **(walk.origin.map.extras if walk.origin.map is not None else {}),
    }
    terminations = np.array([sight.ended for sight in sights[1:]], np.bool_)
    return Episode(
        observations=np.stack([sight.frame for sight in sights]),
        actions=actions[:end],
        rewards=np.array([sight.reward for sight in sights[1:]], np.float32),
        terminations=terminations,
        truncations=_truncations(terminations),
        pose=np.array(poses, np.float32) if len(poses) == len(sights) else None,
        attributes=attributes,
    )


def _truncations(terminations: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """An episode that does not terminate ends where the person stopped."""
    truncations = np.zeros_like(terminations)
    truncations[-1] = not terminations[-1]
    return truncations


def _common(walk: Walk, number: int, world: World) -> dict[str, Any]:
    packages = ("worldmodel-env", "gymnasium", "numpy", "torch")
    return {
        "seed": schema.SEED_BASE[SPLIT] + number,
        "split": SPLIT,
        "task": "",
        "policy": "human",
        "frame_skip": 1,
        "action_space": schema.space_to_json(world.action_space),
        "versions": {name: version(name) for name in packages},
        "start": walk.origin.start,
        "first_step": walk.first,
    }
