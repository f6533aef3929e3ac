"""A film of an episode: each frame large, beside the map, above the actions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.view.ink import (
    FAINT,
    GOLD,
    PAPER,
    TEXT,
    action_colour,
    canvas,
    enlarge,
    write,
)
from worldmodel_env.data.view.panels import draw_map, draw_timeline
from worldmodel_env.data.view.sheet import action_text, describe

VIEW, MAP, GAP = 384, 224, 12
HEAD, LINE = 40, 34
WIDTH, HEIGHT = VIEW + MAP + 3 * GAP, HEAD + VIEW + LINE + 2 * GAP


def draw_film(dataset: TrajectoryDataset, refs: Sequence[EpisodeRef]) -> NDArray[np.uint8]:
    """Draw every frame of episodes, one after the other.

    Args:
        dataset: an open data set.
        refs: of the episodes.

    Returns:
        (frames, H, W, 3) uint8 with even sides, as H.264 wants them.
    """
    episodes = [(ref, dataset.read(ref)) for ref in refs]
    return np.stack(
        [
            _draw(ref, episode, frame)
            for ref, episode in episodes
            for frame in range(len(episode) + 1)
        ]
    )


def _draw(ref: EpisodeRef, episode: Episode, frame: int) -> NDArray[np.uint8]:
    from PIL import ImageDraw

    image = canvas(WIDTH, HEIGHT, PAPER)
    x = write(image, (GAP, 12), f"{ref.split} {ref.seed}", 15) + GAP + 10
    write(image, (x, 14), describe(ref, episode), 12, FAINT)
    image.paste(enlarge(episode.observations[frame], VIEW), (GAP, HEAD))
    left = VIEW + 2 * GAP
    image.paste(draw_map(episode, MAP, now=frame), (left, HEAD))
    image.paste(draw_timeline(episode, WIDTH - 2 * GAP, LINE, now=frame), (GAP, HEAD + VIEW + GAP))
    top = HEAD + MAP + 16
    write(image, (left, top), f"{frame}", 26)
    write(image, (left + MAP, top + 10), f"of {len(episode)}", 12, FAINT, "ra")
    if frame < len(episode):
        action = episode.actions[frame]
        if action.ndim == 0:
            box = [left, top + 42, left + 14, top + 56]
            ImageDraw.Draw(image).rectangle(box, fill=action_colour(int(action)))
        indent = 22 if action.ndim == 0 else 0
        write(image, (left + indent, top + 40), action_text(action), 14)
    rewards = episode.rewards[:frame]
    now = float(rewards[-1]) if len(rewards) else 0.0
    write(image, (left, top + 68), f"reward {now:g}", 14, GOLD if now else FAINT)
    write(image, (left, top + 90), f"return {rewards.sum():g}", 14, TEXT)
    if episode.pose is not None:
        east, north, heading = episode.pose[frame].tolist()
        text = f"x {east:.0f}   y {north:.0f}   heading {heading:.0f}°"
        write(image, (left, top + 116), text, 12, FAINT)
    return np.asarray(image)
