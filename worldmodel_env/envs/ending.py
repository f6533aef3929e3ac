"""Whether an imagined transition ends the episode: drawn, not decided by a threshold.

The model gives a probability p. Ending when p > 0.5 would never end an episode near a goal of which
the model is only 30 % sure, and an agent could stand there and collect the expected reward of 0.3
for ever. Drawn with p, the expected return is the model's own: reward and ending fade together.
"""

from torch import Tensor

from worldmodel_env.imagination.noise import uniform

_STREAM = 1 << 62
"""Flips the key's highest bit: numbers that the imagined frame has not used."""


def ends(probability: Tensor, key: Tensor, step: Tensor) -> Tensor:
    """Draw from the roll-out's noise, so that the same key ends at the same step again.

    Args:
        probability: (B,) in [0, 1].
        key: (B,) int64, 63 bits, of the roll-out's noise.
        step: (B,) int64, index of the transition.

    Returns:
        (B,) bool.
    """
    return uniform(key ^ _STREAM, step, 1)[:, 0] < probability
