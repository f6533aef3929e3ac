"""What must come next, told to a model that has walked there by itself.

From a recorded start the model imagines a few frames with the step that serves, under the recorded
actions and without gradient; then the temporal transformer goes over them once more, all at the
same time and with gradient, from the same state. Two things are learned from that: the recorded
frame that follows (here), as a dataset aggregation (Ross et al. 2011) or Self Forcing's causal
training carried over to a model without noise levels; and windows that look recorded
(`distribution_matching.py`). The gradient goes through one draw of the prior and none through the
state: neither what was imagined nor the cached keys have any.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.imagination.rollout import Dream, dream
from worldmodel_env.imagination.step import Imagination, State
from worldmodel_env.models.heads import outcome_losses
from worldmodel_env.models.teco import Teco
from worldmodel_env.training.encoded import continued, encode, posterior
from worldmodel_env.training.recipes import LossConfig
from worldmodel_env.training.teco_loss import code_losses


@dataclass(frozen=True)
class Lengths:
    """How a step's clips are divided; the same for all of them.

    Attributes:
        context: recorded frames before the imagined ones.
        told: K imagined frames, after each of which the model is told what was recorded next.
        window: W imagined frames after these, for the critics; 0 for none.
    """

    context: int
    told: int
    window: int

    @classmethod
    def draw(cls, rng: np.random.Generator, clip: int, told: int, window: int) -> "Lengths":
        """Random ones: from 1 to `told` frames, the start anywhere in clips of `clip` frames."""
        told = int(rng.integers(1, told + 1)) if told else 0
        after = told + max(window, 1)
        return cls(int(rng.integers(1, clip - after + 1)), told, window)

    @property
    def predicted(self) -> int:
        """Frames after the context that the model predicts, imagined or not."""
        return self.told + max(self.window, 1)


@dataclass(frozen=True)
class SelfRollout:
    """B roll-outs that the temporal transformer has gone over again; P predicted frames each.

    Attributes:
        clips: the recorded clips in which they are.
        lengths: where.
        dream: what was imagined.
        h: (B, P, e, g, g) with gradient, each of the frame after one of the dream's.
        action: (B, P, A) vectors of the actions that lead to them.
        recalled: (B, P, C, 2g, 2g) of where they lead, from `Teco.look_up`, or None.
    """

    clips: Clips
    lengths: Lengths
    dream: Dream
    h: Tensor
    action: Tensor
    recalled: Tensor | None

    def agreement(self, model: Teco) -> Tensor:
        """How near (B, K) the K frames after which it is told are to those recorded.

        By the vectors of their codes: 1 is the same, 0 as far apart as random codes are, or
        farther. Codes themselves differ where nobody would see a difference.
        """
        first, count, table = self.lengths.context, self.lengths.told, model.code_vectors
        imagined = self.dream.codes[:, 1 : count + 1]
        recorded = self.clips.codes[:, first : first + count]
        apart = (table[imagined] - table[recorded]).square().sum(-1).mean((2, 3))
        chance = 2 * (table - table.mean(0)).square().sum(-1).mean()
        return (1 - apart / chance).clamp_min(0)

    def local(self, model: Teco, first: int, count: int) -> tuple[Tensor, Tensor | None]:
        """`Teco.predict` of predicted frames `first` and after: (B * count, ...)."""
        part = slice(first, first + count)
        recalled = None if self.recalled is None else self.recalled[:, part].flatten(0, 1)
        h, previous, action = (
            x[:, part].flatten(0, 1) for x in (self.h, self.dream.codes, self.action)
        )
        return model.predict(h, previous, action, recalled)


def roll_out(world: Imagination, clips: Clips, lengths: Lengths, keys: Tensor) -> SelfRollout:
    """Imagine as `lengths` says, from recorded contexts, and go over it again.

    Args:
        world: the model in training, with the sampling that serves.
        clips: B clips with actions.
        lengths: context and imagined frames.
        keys: (B,) int64 of the noise.
    """
    assert clips.actions is not None  # a store's clips have them
    model, first = world.teco, lengths.context - 1
    state = recorded_state(model, clips, lengths.context)
    imagined = lengths.told + lengths.window
    seen = dream(world, state, clips.actions[:, first : first + imagined], keys)
    taken = clips.actions[:, first : first + lengths.predicted]
    action = model.action(taken)
    latents, codes = (x[:, : lengths.predicted] for x in (seen.latents, seen.codes))
    recalled, _ = model.look_up_clips(codes, taken, state=state)
    tokens = model.tokens(latents.flatten(0, 1), action.flatten(0, 1))
    out, _ = model.temporal.chunk(tokens.unflatten(0, latents.shape[:2]), state)
    h = model.latent_map(out.flatten(0, 1)).unflatten(0, latents.shape[:2])
    return SelfRollout(clips, lengths, seen, h, action, recalled)


@torch.no_grad()
def recorded_state(model: Teco, clips: Clips, context: int) -> State:
    """The state after the first `context` frames of each clip, as observing them one by one."""
    frames = {f.name: getattr(clips, f.name) for f in fields(clips)}
    moves = ("actions", "rewards", "terminations")
    past = Clips(**{k: v[:, : context - (k in moves)] for k, v in frames.items()})
    state = continued(model, past)
    if context == 1:
        return state
    following = encode(model, past, carried=state).state
    assert following is not None  # a state was carried
    return following


def told_losses(
    model: Teco,
    rollout: SelfRollout,
    config: LossConfig,
    agreement: float,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The terms of `teco_losses` on what was recorded after each imagined frame.

    A frame counts while all that was imagined before it agrees with the recording; `kept` is the
    share of those that do. The means are over all frames that exist, so that a batch that has gone
    astray counts for little.

    Args:
        model: the world model.
        rollout: by this model.
        config: the details of the terms.
        agreement: least `SelfRollout.agreement` of each imagined frame.
        generator: of all random numbers, on the CPU.
    """
    clips, count = rollout.clips, rollout.lengths.told
    first, place = rollout.lengths.context + 1, clips.codes.device
    n = len(clips.codes) * count

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator).to(place)

    valid = clips.valid[:, first : first + count]
    follows = (rollout.agreement(model) >= agreement).cumprod(1).bool() & valid
    weight, frames = follows.flatten().float(), valid.sum().clamp_min(1)
    target = clips.codes[:, first : first + count].flatten(0, 1)
    previous = rollout.dream.codes[:, 1 : count + 1].flatten(0, 1)
    h = rollout.h[:, 1 : count + 1].flatten(0, 1)
    h_local, skip = rollout.local(model, 1, count)
    z, z_codes = posterior(model, previous, target)
    dropped = uniform(n, 1, 1, 1) < model.cfg.z_dropout
    logits = model.decode(h_local, torch.where(dropped, model.empty_z(z), z), skip)
    masks = uniform(n, 1 + model.cfg.grid**2)
    masked = (model.prior.scored(masks) * valid.flatten()).sum().clamp_min(1)
    prior_sum, _ = model.prior.loss(z_codes, h_local, masks)
    moves = slice(first - 1, first - 1 + count)
    outcomes = outcome_losses(
        model.outcome(h, z),
        clips.rewards[:, moves].flatten(),
        clips.terminations[:, moves].flatten(),
        follows.flatten(),
    )
    kept = follows.sum() / frames
    return {
        "reconstruction": (code_losses(logits, target, config) * weight).sum() / frames,
        "prior": model.cfg.grid**2 * (prior_sum * weight).sum() / masked,
        **{name: value * kept for name, value in outcomes.items()},
        "kept": kept.detach(),
    }
