"""Whether an imagined transition ends the episode: drawn, not decided by a threshold.

The model gives a probability p. Ending when p > 0.5 would never end an episode near a goal of which
the model is only 30 % sure, and an agent could stand there and collect the expected reward of 0.3
for ever. Drawn with p, the expected return is the model's own: reward and ending fade together.
"""

import numpy as np
from numpy.typing import NDArray


def ends(
    probability: NDArray[np.float32], key: NDArray[np.int64], step: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Draw from the roll-out's key, so that the same key ends at the same step again.

    A hash of its own (SplitMix64), which shares nothing with the noise of the frames and costs a
    handful of operations on the host, where the answer is needed.

    Args:
        probability: (B,) in [0, 1].
        key: (B,) of the roll-out's noise.
        step: (B,) index of the transition.

    Returns:
        (B,) bool.
    """
    x = key.astype(np.uint64) + step.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> 30)) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> 27)) * np.uint64(0x94D049BB133111EB)
    # 53 bits, exact in float64: from 0 to just under 1.
    return ((x ^ (x >> 31)) >> 11) * 2.0**-53 < probability
