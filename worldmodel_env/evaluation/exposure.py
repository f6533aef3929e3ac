"""Exposure gap: how much worse a model predicts what was recorded next after frames of its own.

    gap(k) = CE(recorded frame | k imagined frames before it) - CE(the same frame | recorded ones)

under the recorded actions. Teacher forcing makes the second term small and says nothing about the
first. It means something where the recorded frame is still what must come next: in deterministic
worlds, or for small k.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.imagination.noise import uniform
from worldmodel_env.imagination.step import Guess, Imagination, State
from worldmodel_env.imagination.window import frames_seen, make_room


@torch.no_grad()
def exposure_gap(
    model: Imagination, clips: Clips, horizons: Sequence[int], *, context: int, key: int = 0
) -> dict[int, tuple[float, float]]:
    """Cross-entropies of recorded codes, nats a code, with what the world's sampling draws for z.

    One roll-out serves all horizons: after k imagined frames the model predicts what was recorded
    next, and beside it from the recorded frames, with the same noise.

    Args:
        model: the world.
        clips: with actions; padding does not count.
        horizons: k, of 1 or more; those beyond the clips are left out.
        context: recorded frames before the imagined ones.
        key: of the noise; row i uses key + i.

    Returns:
        By k: the cross-entropy after k imagined frames, and after recorded ones.
    """
    assert clips.actions is not None  # a store's clips have them
    keys = key + torch.arange(len(clips.codes), device=clips.codes.device)
    state = model.begin(clips.codes[:, 0])
    for t in range(1, context):
        state = _observed(model, state, clips, t)
    own, found = state, {}
    frames = clips.codes.shape[1]
    for t in range(context, min(context + max(horizons) + 1, frames)):
        after_own, guess = _imagined(model, own, clips, t, keys)
        k, valid = t - context, clips.valid[:, t]
        if k in horizons and bool(valid.any()):
            _, expected = _imagined(model, state, clips, t, keys)
            scores = [_ce(g, clips.codes[:, t])[valid].mean() for g in (guess, expected)]
            found[k] = (float(scores[0]), float(scores[1]))
        own, state = after_own, _observed(model, state, clips, t)
    return found


def _imagined(
    model: Imagination, state: State, clips: Clips, t: int, keys: Tensor
) -> tuple[State, Guess]:
    assert clips.actions is not None
    shape = model.noise_shape
    noise = uniform(keys, frames_seen(state), torch.Size(shape).numel()).view(-1, *shape)
    return model.imagine(make_room(model, state), clips.actions[:, t - 1], noise)


def _observed(model: Imagination, state: State, clips: Clips, t: int) -> State:
    assert clips.actions is not None
    state = make_room(model, state)
    return model.observe_codes(state, clips.codes[:, t], clips.actions[:, t - 1])


def _ce(guess: Guess, codes: Tensor) -> Tensor:
    """(B,) nats a code."""
    logits = guess.logits.float().permute(0, 3, 1, 2)
    return F.cross_entropy(logits, codes, reduction="none").mean((1, 2))
