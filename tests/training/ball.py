"""A deterministic world in code grids, without pictures: a block walks over a coloured floor."""

import numpy as np

from worldmodel_env.data.codes import CodeStore

SIDE, COLOURS, CODES = 8, 4, 64


def ball_store(episodes: int, steps: int, seed: int = 0) -> CodeStore:
    """Recordings under random actions: left, right, down, round the corners.

    The four cells of the block tell its colour, which is that of the floor and never changes.
    """
    rng = np.random.default_rng(seed)
    actions = rng.integers(3, size=(episodes, steps + 1))
    actions[:, -1] = 0  # after the last frame there is none
    moves = np.array([[0, -1], [0, 1], [1, 0]])[actions[:, :-1]]
    start = rng.integers(SIDE, size=(episodes, 1, 2))
    places = np.concatenate([start, start + moves.cumsum(1)], 1) % SIDE
    colour = rng.integers(COLOURS, size=(episodes, 1, 1, 1))
    codes = np.broadcast_to(colour, (episodes, steps + 1, SIDE, SIDE)).copy()
    episode, frame = np.indices(places.shape[:2])
    for part, (down, right) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        row, column = ((places + np.array([down, right])) % SIDE).transpose(2, 0, 1)
        codes[episode, frame, row, column] = COLOURS * (1 + part) + colour[:, :, 0, 0]
    return CodeStore(
        codes=codes.reshape(-1, SIDE, SIDE).astype(np.uint16),
        actions=actions.reshape(-1),
        rewards=np.zeros(actions.size, np.float32),
        terminations=np.zeros(actions.size, np.bool_),
        starts=np.arange(episodes + 1) * (steps + 1),
        key={"data": "ball", "tokenizer": "none"},
    )
