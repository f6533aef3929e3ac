"""I3D features of true clips, kept in the user's cache: every model is compared with the same."""

import hashlib
import io
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.cache import user_cache
from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics.i3d import FEATURES, I3d
from worldmodel_env.evaluation.metrics.sources import I3D


def true_features(
    network: I3d, dataset: TrajectoryDataset, ref: EpisodeRef, frames: int
) -> NDArray[np.float64]:
    """Features (400,) of an episode's first `frames` frames, computed once per user."""
    key = hashlib.sha256(f"{ref.row.sha256} {frames} {I3D.digest}".encode()).hexdigest()
    # Content decides: an episode recorded anew has another hash.
    path = user_cache() / "features" / f"{key[:40]}.npy"
    try:
        found = np.load(path, allow_pickle=False)
        if found.shape == (FEATURES,) and np.isfinite(found).all():
            return found
    except (OSError, ValueError, EOFError):
        pass  # absent or damaged: computed again
    found = network.features([dataset.read(ref, 0, frames).observations])[0]
    buffer = io.BytesIO()
    np.save(buffer, found)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, buffer.getvalue())
    except (OSError, InputError) as error:
        warnings.warn(f"{path.name} is not cached: {error}", stacklevel=2)
    return found


def floor_episodes(
    dataset: TrajectoryDataset, used: Sequence[EpisodeRef], frames: int
) -> list[EpisodeRef]:
    """As many other episodes of `frames` frames as were used, of the same split first.

    Returns:
        None of `used`; fewer than asked for if there are no more.
    """
    taken, split = {ref.id for ref in used}, used[0].split
    others = [ref for ref in dataset.episodes() if ref.id not in taken]
    long = [ref for ref in others if ref.total_steps + 1 >= frames]
    long.sort(key=lambda ref: (ref.split != split, ref.split == "train", ref.id))
    return long[: len(used)]
