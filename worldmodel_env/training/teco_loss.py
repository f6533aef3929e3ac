"""TECO's training loss on a batch of clips, with DropLoss (TECO sections 3.4 and 1.8)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.imagination.step import State
from worldmodel_env.models.codebook import perplexity
from worldmodel_env.models.heads import outcome_losses
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import NO_FRAME, Teco
from worldmodel_env.training.encoded import Encoded, encode, posterior
from worldmodel_env.training.recipes import LossConfig
from worldmodel_env.training.self_resampling import chosen_frames, self_resampled


def teco_losses(
    model: Teco,
    clips: Clips,
    config: LossConfig,
    generator: torch.Generator,
    rows: slice = slice(None),
    carried: State | None = None,
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
        carried: the state after the first frame of `rows`, of clips that continue others (see
            `encode`); that frame is not predicted.
    """
    if config.actions_ahead:
        clips = clips.with_actions_ahead(config.actions_ahead)
    part = clips.rows(rows)
    cfg, place, (b, t) = model.cfg, clips.codes.device, clips.codes.shape[:2]

    def uniform(*shape: int) -> Tensor:
        return torch.rand((b, *shape), generator=generator).to(place)

    known = uniform() >= config.action_dropout
    seen = part
    if config.self_resampling:
        frames = chosen_frames(clips, config.self_resampling, uniform(t - 1))
        without_z = uniform(frames.shape[1]) < cfg.z_dropout
        noise = uniform(frames.shape[1], 2, cfg.grid**2)
        seen = self_resampled(
            model, part, known[rows], frames[rows], without_z[rows], noise[rows], carried
        )
    encoded = encode(model, seen, known[rows], carried)
    from_first = cfg.first_frame and carried is None
    valid = clips.valid[:, 0 if from_first else 1 :]
    order = _decoded_frames(valid, config, generator)
    n = order.shape[1]
    weights = valid.gather(1, order)
    frames = weights.sum().clamp_min(1)
    weight = weights[rows].flatten().float()
    first = valid.shape[1] * torch.arange(len(part.codes), device=place)
    index = (order[rows] + first[:, None]).flatten()
    h, z, z_codes, target = encoded.select(index)
    previous, action, recalled = encoded.local(index)
    if config.self_resampling:  # what was read need not be what is to come
        target = part.codes[:, -valid.shape[1] :].flatten(0, 1)[index]
        z, z_codes = posterior(model, previous, target)

    level = None
    if cfg.code_noise:
        amount = uniform(n, 1, 1)
        side = previous.shape[1:]
        wrong = torch.randint(cfg.vq_codes, (b, n, *side), generator=generator).to(place)
        replaced = (uniform(n, *side) < cfg.code_noise * amount)[rows].flatten(0, 1)
        previous = torch.where(
            replaced & (previous != NO_FRAME), wrong[rows].flatten(0, 1), previous
        )
        level = (cfg.code_noise_levels * amount[rows].flatten()).long()
    h_local, skip = model.predict(h, previous, action, recalled, level)
    dropped = (uniform(n) < cfg.z_dropout)[rows].flatten()
    z_seen = torch.where(dropped[:, None, None, None], model.empty_z(z), z)
    per_frame = code_losses(model.decode(h_local, z_seen, skip), target, config)
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
    share_of_moves = arrives.sum() / clips.valid[:, 1:].sum().clamp_min(1)
    share = part.valid.sum() / clips.valid.sum() if carried is None else share_of_moves
    losses = {
        "reconstruction": (per_frame * weight).sum() / frames,
        "prior": cfg.grid**2 * (prior_sum * weight).sum() / masked,
        **{name: value * share for name, value in encoded.losses.items()},
        **{name: value * share_of_moves for name, value in outcomes.items()},
    }
    return {"loss": weighted(losses, config), **losses}, encoded


def code_losses(logits: Tensor, target: Tensor, config: LossConfig) -> Tensor:
    """Cross-entropy of frames' codes (N,), summed over a frame's cells.

    Args:
        logits: (N, 2g, 2g, K) of the decoder.
        target: (N, 2g, 2g) int64.
        config: its label smoothing.
    """
    ce = F.cross_entropy(
        logits.float().flatten(0, 2),
        target.flatten(),
        label_smoothing=config.label_smoothing,
        reduction="none",
    )
    return ce.view(len(target), -1).sum(1)


def weighted(losses: Mapping[str, Tensor], config: LossConfig) -> Tensor:
    """The sum of the terms that are there, each with its weight."""
    weights = {
        "reconstruction": 1.0,
        "codebook": 1.0,
        "prior": config.prior_weight,
        "commitment": config.commitment_weight,
        "reward": config.outcome_weight,
        "termination": config.outcome_weight,
    }
    return torch.stack([weights[name] * value for name, value in losses.items()]).sum()


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
    h, z, z_codes, target = encoded.select(index)
    h_local, skip = model.predict(h, *encoded.local(index))
    place = h.device
    likeliest = Sampling(steps=1, temperature=0.0)
    passes = model.prior.passes(likeliest)
    noise = torch.full((count, passes, 2, model.cfg.grid**2), 0.5, device=place)
    prior_codes = model.prior.sample(h_local, noise, likeliest)
    other = torch.randperm(count, generator=generator).to(place)
    wrong_local, wrong_skip = model.predict(h[other], *encoded.local(index[other]))
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
