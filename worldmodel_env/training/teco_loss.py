"""TECO's training loss on a batch of clips, with DropLoss (TECO sections 3.4 and 1.8)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.models.codebook import perplexity
from worldmodel_env.models.heads import outcome_losses
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import NO_FRAME, Teco
from worldmodel_env.training.recipes import LossConfig


@dataclass(frozen=True)
class Encoded:
    """A batch of clips after the recurrent half of the model; N = B * P predicted frames.

    P is T-1, or T for a model that predicts the first frame as well.

    Attributes:
        h: (N, e, g, g) temporal features of the predicted frames, without the local path.
        z: (N, e, g, g) posterior latents of the same frames.
        z_codes: (N, g, g) int64.
        target: (N, 2g, 2g) int64 VQ-GAN codes of the same frames.
        previous: (N, 2g, 2g) codes of the frames before; `NO_FRAME` before the first.
        action: (N, A) vectors of the actions between; the null vector before the first.
        valid: (N,) bool, False in padding.
        losses: commitment and codebook terms.
        projected: (M, code_dim) latents before quantisation, for the codebook's upkeep.
    """

    h: Tensor
    z: Tensor
    z_codes: Tensor
    target: Tensor
    previous: Tensor
    action: Tensor
    valid: Tensor
    losses: dict[str, Tensor]
    projected: Tensor

    def select(self, index: Tensor) -> tuple[Tensor, ...]:
        """h, z, z_codes, target, previous, action of the frames in `index`."""
        parts = (self.h, self.z, self.z_codes, self.target, self.previous, self.action)
        return tuple(part[index] for part in parts)


def encode(model: Teco, clips: Clips, known: Tensor | None = None) -> Encoded:
    """Encoder, latent codebook and temporal transformer over whole clips.

    Args:
        model: the world model.
        clips: codes (B, T, 2g, 2g) with actions or without.
        known: (B,) or (B, T-1) bool; False hides a clip's actions, or one of them.
    """
    b, t = clips.codes.shape[:2]
    x = model.vectors(clips.codes.flatten(0, 1))
    x = x.unflatten(0, (b, t))
    start = model.encoder.start.expand(b, 1, -1, -1, -1)
    before = torch.cat([start, x[:, :-1]], 1)
    latents = model.encoder(before.flatten(0, 1), x.flatten(0, 1))
    z, quantised = model.codebook(latents)
    latents, z = latents.unflatten(0, (b, t)), z.unflatten(0, (b, t))
    # Frame 0 is context, never predicted: it need not fit the codebook.
    past = torch.cat([latents[:, :1], z[:, 1:-1]], 1)

    if clips.actions is None:
        action = model.action.null.expand(b, t - 1, -1)
    else:
        shown = None if known is None else known.reshape(b, -1).expand(b, t - 1)
        action = model.action(clips.actions, shown)
    tokens = model.tokens(past.flatten(0, 1), action.flatten(0, 1)).unflatten(0, (b, t - 1))
    sequence = torch.cat([model.start.to(tokens.dtype).expand(b, 1, -1, -1), tokens], 1)
    begin = 0 if model.cfg.first_frame else 1
    h = model.latent_map(model.temporal(sequence)[:, begin:].flatten(0, 1))
    previous = clips.codes[:, :-1]
    if model.cfg.first_frame:
        previous = F.pad(previous, (0, 0, 0, 0, 1, 0), value=NO_FRAME)
        action = torch.cat([model.action.null.to(action.dtype).expand(b, 1, -1), action], 1)

    weight = clips.valid.flatten().float() / clips.valid.sum()
    losses = {
        "commitment": (quantised.commitment.mean((1, 2)) * weight).sum(),
        "codebook": (quantised.codebook.mean((1, 2)) * weight).sum(),
    }
    codes = quantised.codes.unflatten(0, (b, t))
    return Encoded(
        h=h,
        z=z[:, begin:].flatten(0, 1),
        z_codes=codes[:, begin:].flatten(0, 1),
        target=clips.codes[:, begin:].flatten(0, 1),
        previous=previous.flatten(0, 1),
        action=action.flatten(0, 1),
        valid=clips.valid[:, begin:].flatten(),
        losses=losses,
        projected=model.codebook.project(latents.flatten(0, 1)[clips.valid.flatten()])
        .detach()
        .flatten(0, 2),
    )


def teco_losses(
    model: Teco,
    clips: Clips,
    config: LossConfig,
    generator: torch.Generator,
    rows: slice = slice(None),
) -> tuple[dict[str, Tensor], Encoded]:
    """All terms by name, their weighted sum as `loss`; and the encoded clips.

    Terms are means over the valid frames of the whole batch. Given `rows`, only those clips go
    through the model, and each term is their share of the mean: the shares of disjoint rows add up,
    so a batch may be divided without changing what is learned.

    Args:
        model: the world model.
        clips: the whole batch.
        config: the weights of the terms.
        generator: of all random numbers, on the CPU; a step is a function of its seed, whatever
            `rows` are.
        rows: the clips to compute.
    """
    if config.actions_ahead:
        clips = clips.with_actions_ahead(config.actions_ahead)
    part = clips.rows(rows)
    cfg, place, (b, t) = model.cfg, clips.codes.device, clips.codes.shape[:2]

    def uniform(*shape: int) -> Tensor:
        return torch.rand((b, *shape), generator=generator).to(place)

    known = uniform() >= config.action_dropout
    encoded = encode(model, part, known[rows])
    valid = clips.valid[:, 0 if cfg.first_frame else 1 :]
    order = _decoded_frames(valid, config, generator)
    n = order.shape[1]
    weights = valid.gather(1, order)
    frames = weights.sum().clamp_min(1)
    weight = weights[rows].flatten().float()
    first = valid.shape[1] * torch.arange(len(part.codes), device=place)
    index = (order[rows] + first[:, None]).flatten()
    h, z, z_codes, target, previous, action = encoded.select(index)

    if cfg.code_noise:
        rate = cfg.code_noise * uniform(n, 1, 1)
        side = previous.shape[1:]
        wrong = torch.randint(cfg.vq_codes, (b, n, *side), generator=generator).to(place)
        replaced = (uniform(n, *side) < rate)[rows].flatten(0, 1) & (previous != NO_FRAME)
        previous = torch.where(replaced, wrong[rows].flatten(0, 1), previous)
    h_local, skip = model.predict(h, previous, action)
    dropped = (uniform(n) < cfg.z_dropout)[rows].flatten()
    z_seen = torch.where(dropped[:, None, None, None], model.empty_z(z), z)
    logits = model.decode(h_local, z_seen, skip)
    ce = F.cross_entropy(
        logits.float().flatten(0, 2),
        target.flatten(),
        label_smoothing=config.label_smoothing,
        reduction="none",
    )
    per_frame = ce.view(len(index), -1).sum(1)
    masks = uniform(n, 1 + cfg.grid**2)
    masked = (model.prior.scored(masks.flatten(0, 1)) * weights.flatten()).sum().clamp_min(1)
    prior_sum, _ = model.prior.loss(z_codes, h_local, masks[rows].flatten(0, 1))

    # No transition leads to the first frame.
    moves = [x.unflatten(0, (len(part.codes), -1))[:, 1 - t :] for x in (encoded.h, encoded.z)]
    outcome = model.outcome(*(x.flatten(0, 1) for x in moves))
    arrives = part.valid[:, 1:]
    outcomes = outcome_losses(
        outcome, part.rewards.flatten(), part.terminations.flatten(), arrives.flatten()
    )
    share = part.valid.sum() / clips.valid.sum()
    share_of_moves = arrives.sum() / clips.valid[:, 1:].sum().clamp_min(1)
    losses = {
        "reconstruction": (per_frame * weight).sum() / frames,
        "prior": cfg.grid**2 * (prior_sum * weight).sum() / masked,
        **{name: value * share for name, value in encoded.losses.items()},
        **{name: value * share_of_moves for name, value in outcomes.items()},
    }
    total = losses["reconstruction"] + losses["codebook"]
    total = total + config.prior_weight * losses["prior"]
    total = total + config.commitment_weight * losses["commitment"]
    total = total + config.outcome_weight * (losses["reward"] + losses["termination"])
    return {"loss": total, **losses}, encoded


def _decoded_frames(valid: Tensor, config: LossConfig, generator: torch.Generator) -> Tensor:
    """DropLoss: which of P frames to decode, (B, n) of each clip; valid: (B, P)."""
    b, frames = valid.shape
    n = max(1, int((1 - config.drop_loss) * frames))
    if config.drop_loss_frames == "shared_with_repeats":
        drawn = torch.randint(frames + 1, (n,), generator=generator).clamp_max(frames - 1)
        return drawn.to(valid.device).expand(b, n)
    uniform = torch.rand((b, frames), generator=generator).to(valid.device)
    return (uniform + ~valid).argsort(1)[:, :n]  # valid ones first


@torch.no_grad()
def diagnostics(model: Teco, clips: Clips, generator: torch.Generator) -> dict[str, float]:
    """Does imagination work? Next-code cross-entropy (nats a code) and accuracy, by source of z.

    `posterior` alone falls when the decoder reads everything from z and ignores h: compare it with
    `prior` (z from the prior's best guess), `null` (no z) and `shuffled_h` (posterior z, h of other
    frames). ln(K) is a uniform guess.
    """
    encoded = encode(model, clips)
    count = min(256, int(encoded.valid.sum()))
    valid = encoded.valid.nonzero()[:, 0]
    index = valid[torch.randperm(len(valid), generator=generator)[:count].to(valid.device)]
    h, z, z_codes, target, previous, action = encoded.select(index)
    h_local, skip = model.predict(h, previous, action)
    place = h.device
    likeliest = Sampling(steps=1, temperature=0.0)
    passes = model.prior.passes(likeliest)
    noise = torch.full((count, passes, 2, model.cfg.grid**2), 0.5, device=place)
    prior_codes = model.prior.sample(h_local, noise, likeliest)
    other = torch.randperm(count, generator=generator).to(place)
    wrong_local, wrong_skip = model.predict(h[other], previous[other], action[other])
    cases = {
        "posterior": (h_local, z, skip),
        "prior": (h_local, model.codebook.embed(prior_codes), skip),
        "null": (h_local, model.empty_z(z), skip),
        "shuffled_h": (wrong_local, z, wrong_skip),
    }
    result = {"z_perplexity": float(perplexity(z_codes, model.cfg.n_codes))}
    for name, (features, latent, local) in cases.items():
        logits = model.decode(features, latent, local).float().flatten(0, 2)
        result[f"ce_{name}"] = float(F.cross_entropy(logits, target.flatten()))
        result[f"accuracy_{name}"] = float((logits.argmax(-1) == target.flatten()).float().mean())
    return result
