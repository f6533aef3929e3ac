"""What can be evaluated: anything that continues a film, given its beginning and the actions."""

from dataclasses import asdict, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.backend import Backend, open_backend
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.precision import Precision

BATCH = 16


class Predictor(Protocol):
    """A model under evaluation.

    Attributes:
        name: what reports call it.
        batch: rows of every call; whoever calls fills up the last batch.
    """

    name: str
    batch: int

    def predict(
        self,
        frames: NDArray[np.uint8],
        actions: NDArray | None,
        horizon: int,
        seeds: NDArray[np.int64],
    ) -> NDArray[np.uint8]:
        """Imagine what follows.

        Args:
            frames: (B, C, H, W, 3), the true frames 0 .. C-1.
            actions: (B, C-1+K) or (B, C-1+K, k); actions[:, t] leads from frame t to t+1. None when
                the protocol withholds them.
            horizon: K, frames to imagine.
            seeds: (B,), 0 or more: row i draws all its randomness from seeds[i], so that it is the
                same in whatever batch it is evaluated.

        Returns:
            (B, K, H, W, 3): frames C .. C+K-1.

        Raises:
            InputError: the model cannot continue such frames, or not without actions.
        """
        ...


class CopyLast:
    """The last true frame, again and again: what any model must beat."""

    name = "last frame copied"

    def __init__(self, batch: int = BATCH) -> None:
        self.batch = batch

    def predict(
        self,
        frames: NDArray[np.uint8],
        actions: NDArray | None,
        horizon: int,
        seeds: NDArray[np.int64],
    ) -> NDArray[np.uint8]:
        """See `Predictor`; a view that cannot be written to."""
        return np.broadcast_to(frames[:, -1:], (len(frames), horizon, *frames.shape[2:]))


class WorldPredictor:
    """A world, which reads the context frame by frame and then imagines.

    Attributes:
        name: the world's.
        batch: rows of every call.
        world: the world.
        backend: what runs its step.
    """

    def __init__(
        self,
        world: World,
        backend: str = "auto",
        *,
        batch: int = BATCH,
        device: str = "auto",
        precision: Precision = "auto",
        threads: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        """Open the backend; the arguments are those of `open_backend`."""
        self.name = world.name
        self.batch = batch
        self.world = world
        self.backend = open_backend(
            world, backend, batch=batch, device=device, precision=precision, threads=threads,
            sampling=sampling,
        )  # fmt: skip
        self._settings: dict[str, Any] = {
            "device": device, "precision": precision, "threads": threads, "sampling": sampling,
        }  # fmt: skip
        self._blind: Backend | None = None

    def check(self, dataset: TrajectoryDataset) -> None:
        """InputError if the data's frames or actions are not those of the world."""
        for what, mine, theirs in (
            ("frames", self.world.observation_space, dataset.observation_space),
            ("actions", self.world.action_space, dataset.action_space),
        ):
            if mine != theirs:
                raise InputError(
                    f"{dataset.root} has {what} {theirs} but world {self.world.name!r} has "
                    f"{mine}; evaluate it on data of its own simulator."
                )

    def identity(self) -> dict[str, Any]:
        """What decides its predictions, as plain JSON values."""
        return {
            "world": self.world.name,
            "world_digest": self.world.digest,
            "backend": self.backend.name,
            "precision": self.backend.precision,
            "batch": self.batch,
            "sampling": asdict(self._settings["sampling"] or self.world.config.sampling),
        }

    def predict(
        self,
        frames: NDArray[np.uint8],
        actions: NDArray | None,
        horizon: int,
        seeds: NDArray[np.int64],
    ) -> NDArray[np.uint8]:
        """See `Predictor`; without actions the world gets what it learned for "not known"."""
        if frames.shape[2:] != self.world.observation_space.shape:
            raise InputError(
                f"world {self.world.name!r} got frames of shape {frames.shape[2:]}, expected "
                f"{self.world.observation_space.shape}; evaluate it on data of its own simulator."
            )
        context = frames.shape[1]
        backend = self.backend
        if actions is None:
            backend, actions = self._without_actions(), self._any(len(frames), context + horizon)
        state = backend.begin(backend.encode(frames[:, 0]))
        for t in range(1, context):
            state = backend.observe(state, frames[:, t], actions[:, t - 1])
        keys = torch.from_numpy(seeds).to(backend.device)
        imagined: list[Tensor] = []
        for t in range(context - 1, context - 1 + horizon):
            state, now = backend.step(state, actions[:, t], keys)
            imagined.append(now.frame.cpu())
        return torch.stack(imagined, 1).numpy()

    def reconstruct(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frames (N, H, W, 3) through the tokenizer and back: the ceiling of what it imagines."""
        parts = []
        for start in range(0, len(frames), self.batch):
            rows = np.minimum(np.arange(start, start + self.batch), len(frames) - 1)
            codes = torch.from_numpy(self.backend.encode(frames[rows])).to(self.backend.device)
            parts.append(self.backend.decode({"codes": codes}).cpu().numpy())
        return np.concatenate(parts)[: len(frames)]

    def _without_actions(self) -> Backend:
        # Exports are cached by digest and are of the world as it is: this one runs in torch.
        if self._blind is None:
            self._blind = open_backend(without_actions(self.world), "torch", **self._settings)
        return self._blind

    def _any(self, rows: int, length: int) -> NDArray:
        space = self.world.action_space
        return np.zeros((rows, length - 1, *(space.shape or ())), space.dtype)


def without_actions(world: World) -> World:
    """The same world, to which every action is the one it learned for "no action known".

    A world trained without action dropout has never learned that one.
    """
    weights = dict(world.weights)
    null = weights["teco.action.null"]
    if "teco.action.linear.weight" in weights:
        weights["teco.action.linear.weight"] = torch.zeros_like(
            weights["teco.action.linear.weight"]
        )
        weights["teco.action.linear.bias"] = null
    for name in (n for n in weights if n.startswith("teco.action.tables.")):
        first = name == "teco.action.tables.0.weight"
        rows = null.expand_as(weights[name]) if first else torch.zeros_like(weights[name])
        weights[name] = rows.contiguous()
    return replace(world, weights=weights, digest="")
