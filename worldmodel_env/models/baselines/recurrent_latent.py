"""A recurrent latent-variable model: the family of RSSM, CW-VAE and FitVid.

The state of Hafner et al. 2019 (Learning Latent Dynamics for Planning from Pixels): a
deterministic part h that a recurrent cell carries on, and a random part s drawn anew every frame.
Here both are maps and the cell is convolutional, as in Villegas et al. 2019 (High Fidelity Video
Prediction with Large Stochastic Recurrent Neural Networks): as vectors they would have to learn
first where in the picture things are.

    h_t = cell(h_{t-1}, s_{t-1}, a_{t-1})
    s_t ~ posterior(s_t | h_t, x_t)       in training and where frames are given
    s_t ~ prior(s_t | h_t)                when imagining
    x_t ~ decode(h_t, s_t)                all codes at once
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.models.actions import ActionEmbedding
from worldmodel_env.models.baselines.codes import (
    CodeHead,
    CodeSpace,
    State,
    cross_entropy,
    normal,
    vectors_of,
)
from worldmodel_env.models.blocks import TecoResBlock


@dataclass(frozen=True)
class RecurrentLatentConfig:
    """Sizes of the model.

    Attributes:
        space: what is modelled.
        width: channels of h and of the convolutions.
        stochastic: channels of s.
        action_dim: width of an action's vector.
        blocks: residual blocks at either resolution of the decoder.
        decoded: share of frames that a training step decodes, at random, the dear part.
        kl_weight: of the divergence prior to posterior, beside the nats of all codes.
        balance: share of the divergence that pulls the prior; the rest pulls the posterior
            (Hafner et al. 2021, Mastering Atari with Discrete World Models).
        temperature: scale of the prior's standard deviation when imagining.
    """

    space: CodeSpace = field(default_factory=CodeSpace)
    width: int = 96
    stochastic: int = 8
    action_dim: int = 16
    blocks: int = 2
    decoded: float = 0.25
    kl_weight: float = 1.0
    balance: float = 0.8
    temperature: float = 1.0


class Cell(nn.Module):
    """A gated recurrent unit whose maps are convolved."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(inputs + width, 2 * width, 3, padding=1)
        self.update = nn.Conv2d(inputs + width, width, 3, padding=1)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """(B, inputs, s, s) and (B, width, s, s) -> (B, width, s, s)."""
        reset, keep = self.gates(torch.cat([x, h], 1)).sigmoid().chunk(2, 1)
        new = self.update(torch.cat([x, reset * h], 1)).tanh()
        return keep * h + (1 - keep) * new


class RecurrentLatent(nn.Module):
    """See the top of the file and `codes.Baseline`; s = g / 2 is the side of the maps."""

    code_vectors: Tensor

    def __init__(self, cfg: RecurrentLatentConfig) -> None:
        super().__init__()
        self.cfg, self.space = cfg, cfg.space
        width, side = cfg.width, cfg.space.grid // 2
        self.latent_shape = (cfg.stochastic, side, side)
        self.noise = cfg.stochastic * side * side
        self.register_buffer("code_vectors", torch.zeros(cfg.space.n_codes, cfg.space.dim))
        self.action = ActionEmbedding(cfg.space.actions, cfg.action_dim)
        self.encoder = nn.Sequential(
            nn.Conv2d(cfg.space.dim, width, 3, padding=1),
            TecoResBlock(width, width),
            nn.AvgPool2d(2),
            TecoResBlock(width, width),
        )
        self.start = nn.Parameter(torch.zeros(width, side, side))
        self.cell = Cell(cfg.stochastic + cfg.action_dim, width)
        self.prior = _distribution(width, width, cfg.stochastic)
        self.posterior = _distribution(2 * width, width, cfg.stochastic)
        self.join = nn.Conv2d(width + cfg.stochastic, width, 3, padding=1)
        self.low = nn.Sequential(*(TecoResBlock(width, width) for _ in range(cfg.blocks)))
        self.high = nn.Sequential(*(TecoResBlock(width, width) for _ in range(cfg.blocks)))
        self.head = CodeHead(width, cfg.space)

    def loss(
        self, codes: Tensor, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """See `codes.Baseline`: the evidence lower bound, per code."""
        b, t = codes.shape[:2]
        seen = self._encode(codes.flatten(0, 1)).unflatten(0, (b, t))
        action = self.action(actions)
        noise = torch.randn((b, t, *self.latent_shape), generator=generator).to(seen)
        h = self.start.expand(b, -1, -1, -1).to(seen.dtype)
        hs: list[Tensor] = []
        ss: list[Tensor] = []
        priors: list[Tensor] = []
        posteriors: list[Tensor] = []
        for i in range(t):
            if i:
                h = self._advance(h, ss[-1], action[:, i - 1])
            posteriors.append(self.posterior(torch.cat([h, seen[:, i]], 1)))
            priors.append(self.prior(h))
            hs.append(h)
            ss.append(_sample(posteriors[-1], noise[:, i]))
        order = torch.rand((b, t), generator=generator).to(codes.device).argsort(1)
        picked = order[:, : max(1, round(self.cfg.decoded * t))]
        rows = torch.arange(b, device=codes.device)[:, None]
        h_picked, s_picked = torch.stack(hs, 1)[rows, picked], torch.stack(ss, 1)[rows, picked]
        logits = self._decode(h_picked.flatten(0, 1), s_picked.flatten(0, 1))
        target = codes[rows, picked].flatten(0, 1).flatten(1)
        ce = cross_entropy(logits, target, valid[rows, picked].flatten())
        prior, posterior = torch.stack(priors, 1), torch.stack(posteriors, 1)
        pull = divergence(posterior.detach(), prior) * self.cfg.balance
        push = divergence(posterior, prior.detach()) * (1 - self.cfg.balance)
        # The first frame is given, never imagined: its prior may be as wrong as it is.
        weight = valid[:, 1:] / valid[:, 1:].sum().clamp_min(1)
        kl = ((pull + push)[:, 1:] * weight).sum()
        per_code = self.cfg.kl_weight / self.space.grid**2
        return {"loss": ce + per_code * kl, "cross_entropy": ce, "divergence": kl}

    def begin(self, codes: Tensor) -> State:
        """See `codes.Baseline`."""
        h = self.start.expand(len(codes), -1, -1, -1)
        return {"h": h, "s": self._infer(h, codes)}

    def observe(self, state: State, codes: Tensor, action: Tensor) -> State:
        """See `codes.Baseline`; s is the posterior's mean."""
        h = self._advance(state["h"], state["s"], self.action(action))
        return {"h": h, "s": self._infer(h, codes)}

    def imagine(self, state: State, action: Tensor, noise: Tensor) -> tuple[State, Tensor]:
        """See `codes.Baseline`."""
        h = self._advance(state["h"], state["s"], self.action(action))
        drawn = normal(noise).view(-1, *self.latent_shape) * self.cfg.temperature
        s = _sample(self.prior(h), drawn)
        codes = self._decode(h, s).argmax(-1)
        return {"h": h, "s": s}, codes.unflatten(1, (self.space.grid, self.space.grid))

    def _encode(self, codes: Tensor) -> Tensor:
        return self.encoder(vectors_of(codes, self.code_vectors))

    def _advance(self, h: Tensor, s: Tensor, action: Tensor) -> Tensor:
        tiled = action[..., None, None].expand(-1, -1, *h.shape[2:])
        return self.cell(torch.cat([s, tiled.to(s.dtype)], 1), h)

    def _infer(self, h: Tensor, codes: Tensor) -> Tensor:
        return self.posterior(torch.cat([h, self._encode(codes)], 1)).chunk(2, 1)[0]

    def _decode(self, h: Tensor, s: Tensor) -> Tensor:
        """Maps of N frames -> logits (N, g*g, K)."""
        x = self.low(self.join(torch.cat([h, s], 1)))
        x = self.high(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.head(x.flatten(2).transpose(1, 2), self.code_vectors)


def _distribution(inputs: int, width: int, stochastic: int) -> nn.Sequential:
    """Maps -> mean and log standard deviation of s, one after the other in the channels."""
    return nn.Sequential(
        nn.Conv2d(inputs, width, 3, padding=1), nn.ELU(), nn.Conv2d(width, 2 * stochastic, 1)
    )


def _sample(parameters: Tensor, noise: Tensor) -> Tensor:
    mean, log_std = parameters.chunk(2, 1)
    return mean + log_std.clamp(-5, 2).exp() * noise.to(mean.dtype)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p, q) in nats of Gaussian maps (..., 2 S, s, s), means before log deviations -> (...)."""
    (mean_p, log_p), (mean_q, log_q) = p.float().chunk(2, -3), q.float().chunk(2, -3)
    log_p, log_q = log_p.clamp(-5, 2), log_q.clamp(-5, 2)
    ratio = ((mean_p - mean_q).square() + (2 * log_p).exp()) * (-2 * log_q).exp()
    return (log_q - log_p + 0.5 * (ratio - 1)).sum((-3, -2, -1))
