"""Make imagined windows as likely as recorded ones, where chance decides what comes next.

Then the frame that was recorded is one of many that may follow, and telling it to the model would
teach a blur. Instead two critics (`models/critic.py`), who see a window's past and future at once,
look at windows that the model has imagined, some codes masked: q_data has learned from recorded
windows, q_own goes on learning from imagined ones. For the masked codes i, with p the model's own
distribution given its own past,

    L = sum_i sum_v p_i(v) * [log q_own,i(v) - log q_data,i(v)]

whose gradient goes to p alone, lowers what the model does more often than the recordings. It is
distribution matching distillation (Yin et al. 2024) for tokens, as Di[M]O (Zhu et al. 2025) has it
for images, on windows of a roll-out as in Self Forcing (Huang et al. 2025).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.models.critic import WindowCritic
from worldmodel_env.models.teco import Teco
from worldmodel_env.training.encoded import posterior
from worldmodel_env.training.self_rollout import SelfRollout


@dataclass(frozen=True)
class Windows:
    """B windows of W frames in latent codes.

    Attributes:
        codes: (B, W, g, g) int64.
        actions: (B, W) or (B, W, k), each the one that led to the frame.
        whole: (B,) bool, False where the episode is over before the window is.
    """

    codes: Tensor
    actions: Tensor
    whole: Tensor


@torch.no_grad()
def recorded_windows(model: Teco, clips: Clips) -> Windows:
    """Windows of clips, which are one frame longer: the first tells what is new in the next."""
    assert clips.actions is not None  # a store's clips have them
    before, after = clips.codes[:, :-1], clips.codes[:, 1:]
    _, codes = posterior(model, before.flatten(0, 1), after.flatten(0, 1))
    return Windows(codes.unflatten(0, after.shape[:2]), clips.actions, clips.valid.all(1))


def imagined_windows(rollout: SelfRollout) -> Windows:
    """The last frames of roll-outs, as the prior has drawn them."""
    lengths, clips = rollout.lengths, rollout.clips
    assert clips.actions is not None
    assert rollout.dream.drawn is not None  # the prior is asked, says the recipe's check
    frames = slice(lengths.told, lengths.told + lengths.window)
    first = lengths.context - 1 + lengths.told
    moves = slice(first, first + lengths.window)
    whole = clips.valid[:, first + lengths.window]
    return Windows(rollout.dream.drawn[:, frames], clips.actions[:, moves], whole)


def remask(windows: Windows, n_codes: int, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Hide max(1, floor(N cos(pi/2 r))) of a window's N codes, r ~ U(0, 1).

    Args:
        windows: B of them.
        n_codes: what stands for a hidden code.
        uniform: (B, 1 + N) random numbers in [0, 1): r, then the order of hiding.

    Returns:
        Codes (B, W, g, g), and which are hidden (B, N) bool.
    """
    flat = windows.codes.flatten(1)
    count = (flat.shape[1] * torch.cos(math.pi / 2 * uniform[:, :1])).floor().clamp_min(1)
    hidden = uniform[:, 1:].argsort(-1).argsort(-1) < count
    return flat.masked_fill(hidden, n_codes).view_as(windows.codes), hidden


def critic_loss(critic: WindowCritic, windows: Windows, uniform: Tensor) -> Tensor:
    """Cross-entropy of hidden codes, nats a code; `uniform` as in `remask`."""
    seen, hidden = remask(windows, critic.n_codes, uniform)
    logits = critic(seen, windows.actions).float()
    ce = F.cross_entropy(logits.transpose(1, 2), windows.codes.flatten(1), reduction="none")
    return _mean(ce, hidden & windows.whole[:, None])


def matching_loss(
    model: Teco, rollout: SelfRollout, data: WindowCritic, own: WindowCritic, uniform: Tensor
) -> Tensor:
    """The L above, nats a frame; `uniform` as in `remask`."""
    windows, lengths = imagined_windows(rollout), rollout.lengths
    seen, hidden = remask(windows, data.n_codes, uniform)
    with torch.no_grad():
        judged = [q(seen, windows.actions).float().log_softmax(-1) for q in (own, data)]
    h, _ = rollout.local(model, lengths.told, lengths.window)
    logits = model.prior(seen.flatten(0, 1), h).float()
    p = logits.softmax(-1).view_as(judged[0])
    excess = (p * (judged[0] - judged[1])).sum(-1)
    return model.cfg.grid**2 * _mean(excess, hidden & windows.whole[:, None])


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum() / chosen.sum().clamp_min(1)
