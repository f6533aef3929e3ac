"""Clips in which some frames are what the model itself imagines: errors of the kind it will make.

A model that has only read recorded frames does not know what its own mistakes look like, and in a
roll-out it reads nothing else. So it goes through the clips once without gradient, predicts chosen
frames from the recorded past, all at the same time, and then trains on clips that hold these
predictions; what is to be predicted stays the recording. The parallel form of scheduled sampling
(Mihaylova & Martins 2019) for a world model; a roll-out's longer chains of mistakes are not seen.
"""

from dataclasses import replace

import torch
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import State
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import Teco
from worldmodel_env.training.encoded import encode

ONE_PASS = Sampling(steps=1)


def chosen_frames(clips: Clips, share: float, uniform: Tensor) -> Tensor:
    """Which frames to replace: `share` of those after the first, others in every clip.

    Args:
        clips: B clips of T frames.
        share: from 0 to 1.
        uniform: (B, T-1) random numbers.

    Returns:
        (B, n) int64, frames from 1 on; padding comes last.
    """
    moves = clips.valid[:, 1:]
    return 1 + (uniform + ~moves).argsort(1)[:, : round(share * moves.shape[1])]


@torch.no_grad()
def self_resampled(
    model: Teco,
    clips: Clips,
    known: Tensor,
    frames: Tensor,
    without_z: Tensor,
    noise: Tensor,
    carried: State | None = None,
) -> Clips:
    """The clips with `frames` as the model imagines them, given the recorded ones before.

    Which z a roll-out will have is not known yet, so some frames have the prior's and others, of a
    model that can do without (`TecoConfig.z_dropout`), none.

    Args:
        model: the world model; it must read z from frames (`TecoConfig.reencode`).
        clips: B clips of T frames.
        known: actions that are shown, as in `encode`.
        frames: (B, n) int64 from `chosen_frames`.
        without_z: (B, n) bool, frames imagined without z.
        noise: (B, n, 2, g*g) numbers in (0, 1), by which the prior draws z.
        carried: as in `encode`. Then the last frame, with which the next clips begin, is left as it
            was recorded.

    Raises:
        InputError: the model reads z from the prior, not from frames.
    """
    if not model.cfg.reencode:
        raise InputError(
            "self_resampling replaces frames, which a model with TecoConfig.reencode off does not "
            "read; turn reencode on or self_resampling off."
        )
    if not frames.shape[1]:
        return clips
    encoded = encode(model, clips, known, carried)
    b, t = clips.codes.shape[:2]
    predicted = len(encoded.h) // b
    first = predicted * torch.arange(b, device=frames.device)[:, None]
    index = (first + frames - (t - predicted)).flatten()
    h, skip = model.predict(encoded.h[index], *encoded.local(index))
    passes = noise.flatten(0, 1)[:, None].expand(-1, model.prior.passes(ONE_PASS), -1, -1)
    z = model.codebook.embed(model.prior.sample(h, passes, ONE_PASS))
    z = torch.where(without_z.view(-1, 1, 1, 1), model.empty_z(z), z)
    imagined = model.decode(h, z, skip).argmax(-1)
    codes = clips.codes.clone()
    codes[torch.arange(b, device=frames.device)[:, None], frames] = imagined.unflatten(0, (b, -1))
    if carried is not None:
        codes[:, -1] = clips.codes[:, -1]
    return replace(clips, codes=codes)
