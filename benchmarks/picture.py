"""README's moving picture: `python -m benchmarks.picture`.

Records the first test episodes of SimMaze-v0, shows a world their first frames, and lets it imagine
the rest from the recorded actions: above what the simulator showed, below what the world imagined,
from the first imagined frame on.
"""

import tempfile
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image

from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.evaluation.predictor import WorldPredictor
from worldmodel_env.imagination.world import World

GAP = 4
"""Pixels between walks."""
GREY = 128
"""Of the gaps: seen on white and on black."""


def main(
    world: str = "maze",
    walks: int = 5,
    context: int = 36,
    frames: int = 48,
    fps: int = 8,
    out: Path = Path("docs/images/maze/imagined.webp"),
) -> None:
    """Record, imagine, write.

    Args:
        world: a shipped world's name or a world's folder.
        walks: how many, side by side.
        context: true frames given first, which are not shown.
        frames: length of the picture.
        fps: frames a second.
        out: a .webp or .gif.
    """
    true, actions = recorded(walks, context + frames)
    predictor = WorldPredictor(World.load(world), batch=walks)
    imagined = predictor.predict(true[:, :context], actions, frames, np.arange(walks))
    film = side_by_side(true[:, context:], imagined)
    pages = [Image.fromarray(page) for page in film]
    out.parent.mkdir(parents=True, exist_ok=True)
    pages[0].save(
        out, save_all=True, append_images=pages[1:], duration=1000 // fps, loop=0,
        **({"quality": 75, "method": 6} if out.suffix == ".webp" else {}),
    )  # fmt: skip
    print(f"{out}: {len(film)} frames, {out.stat().st_size / 1e6:.1f} MB")


def recorded(walks: int, length: int) -> tuple[NDArray[np.uint8], NDArray]:
    """The first test episodes of the explorer: frames (B, L, H, W, 3), actions (B, L - 1)."""
    with tempfile.TemporaryDirectory() as folder:
        task = {"task": "explore"}
        record("SimMaze-v0", Path(folder), episodes=0, validation=0, test=walks, env_kwargs=task)
        dataset = TrajectoryDataset.open(folder)
        episodes = [dataset.read(ref, 0, length) for ref in dataset.episodes("test")]
    return (
        np.stack([episode.observations for episode in episodes]),
        np.stack([episode.actions for episode in episodes]),
    )


def side_by_side(above: NDArray[np.uint8], below: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two rows of films (B, K, H, W, 3) as one film, twice as large."""
    pairs = np.concatenate([above, below], 2).repeat(2, 2).repeat(2, 3)
    pairs = np.pad(pairs, ((0, 0), (0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=GREY)
    return np.concatenate(list(pairs), 2)[:, :, :-GAP]


if __name__ == "__main__":
    tyro.cli(main)
