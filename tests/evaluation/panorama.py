"""A toy world whose frames are known: a painted panorama per cell, and a camera that turns.

Eight headings; a turn moves the picture by 8 of the panorama's 64 columns. A step goes to one of
the eight neighbouring cells, or nowhere at the border. Each quarter of a map has a hue.
"""

import numpy as np

from worldmodel_env.evaluation.probes.clips import Clips, places

CELL = 10.0
SIZE = 9
SIDE = 32
TURN_PIXELS = 8
LEFT, RIGHT, FORWARD = range(3)
_HUES = np.array([(150, 40, 40), (40, 40, 150), (40, 150, 40), (150, 150, 30)])


class Panorama:
    """One map."""

    def __init__(self, number: int) -> None:
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 100, (SIZE, SIZE, SIDE // 4, 16, 3))
        row, column = np.mgrid[:SIZE, :SIZE]
        hue = _HUES[2 * (row > SIZE // 2) + (column > SIZE // 2)]
        painted = coarse + hue[:, :, None, None]
        self.walls = painted.repeat(4, 2).repeat(4, 3).astype(np.uint8)
        # A sky that tells the direction, the same everywhere.
        angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        sky = np.stack([128 + 90 * np.sin(angle), 128 + 90 * np.cos(angle), 0 * angle + 200], -1)
        self.walls[:, :, : SIDE // 3] = sky.astype(np.uint8)
        self.layout = np.ones((SIZE, SIZE), np.uint8)
        self.layout[1:-1, 1:-1] = rng.random((SIZE - 2, SIZE - 2)) < 0.3

    def frame(self, row: int, column: int, heading: int) -> np.ndarray:
        """What is seen; turning left uncovers columns on the left."""
        ring = np.roll(self.walls[row, column], TURN_PIXELS * heading, axis=1)
        return ring[:, :SIDE]


def walk(world: Panorama, actions: np.ndarray, start: tuple[int, int, int]):
    """Frames and poses of a walk."""
    row, column, heading = start
    frames, poses = [], []
    for action in [-1, *actions.tolist()]:
        if action in (LEFT, RIGHT):
            heading = (heading + (1 if action == LEFT else -1)) % 8
        elif action == FORWARD:
            angle = np.radians(45 * heading)
            row = int(np.clip(row - np.rint(np.sin(angle)), 1, SIZE - 2))
            column = int(np.clip(column + np.rint(np.cos(angle)), 1, SIZE - 2))
        frames.append(world.frame(row, column, heading))
        x, y = (column + 0.5) * CELL, (SIZE - 1 - row + 0.5) * CELL
        poses.append((x, y, 45.0 * heading))
    return np.stack(frames), np.array(poses, np.float32)


def make_clips(walks: int, length: int, *, seed: int = 0, there_and_back: bool = False) -> Clips:
    """Random walks, each on a map of its own."""
    rng = np.random.default_rng(seed)
    frames, poses, actions, layouts = [], [], [], []
    for i in range(walks):
        world = Panorama(1000 * seed + i)
        start = tuple(int(n) for n in rng.integers((1, 1, 0), (SIZE - 1, SIZE - 1, 8)))
        moves = rng.integers(0, 3, length - 1)
        if there_and_back:
            out = _inner(world, rng, start, (length - 1) // 2 - 4)
            mirrored = np.where(out == FORWARD, FORWARD, 1 - out)[::-1]
            about = np.full(4, LEFT)
            moves = np.concatenate([out, about, mirrored, about])[: length - 1]
            moves = np.pad(moves, (0, length - 1 - len(moves)), constant_values=LEFT)
        film, pose = walk(world, moves, start)
        frames.append(film)
        poses.append(pose)
        actions.append(moves)
        layouts.append(world.layout)
    return Clips(
        np.stack(frames), np.stack(actions).astype(np.int64), np.stack(poses), places(layouts),
        layouts, np.arange(walks) + 2_000_000,
    )  # fmt: skip


def _inner(world: Panorama, rng: np.random.Generator, start, length: int) -> np.ndarray:
    """Actions that never push against the border, so that they can be walked back."""
    moves: list[int] = []
    while len(moves) < length:
        action = int(rng.integers(3))
        _, poses = walk(world, np.array([*moves, action]), start)
        inside = action != FORWARD or not np.array_equal(poses[-1], poses[-2])
        diagonal = action == FORWARD and np.hypot(*(poses[-1] - poses[-2])[:2]) < CELL * 0.99
        slid = action == FORWARD and poses[-1][2] % 90 == 45 and (
            np.abs(poses[-1] - poses[-2])[:2] < CELL / 2
        ).any()  # fmt: skip
        if inside and not diagonal and not slid:
            moves.append(action)
    return np.array(moves)
