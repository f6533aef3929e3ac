"""Diffusion of the next frame from a few frames before it: the family of FDM and DIAMOND.

After Alonso et al. 2024 (Diffusion for World Modeling: Visual Details Matter in Atari): a U-Net
removes noise from the next frame, given the last frames and actions, in the form of Karras et al.
2022 (Elucidating the Design Space of Diffusion-Based Generative Models). Here a frame is the
vectors of its codes, as in latent FDM; what was drawn is rounded to codes, so that no noise is
left in what the next frame is drawn from.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.models.actions import ActionEmbedding
from worldmodel_env.models.baselines.codes import CodeSpace, State, normal, vectors_of
from worldmodel_env.models.blocks import AttnBlock, TecoResBlock


@dataclass(frozen=True)
class LatentDiffusionConfig:
    """Sizes of the model, and how it is sampled.

    Attributes:
        space: what is modelled.
        window: frames before the next that it is given, as many as DIAMOND's.
        width: channels.
        blocks: residual blocks at either resolution, on the way down and on the way up.
        action_dim: width of an action's vector.
        targets: frames of each clip that a training step predicts.
        code_noise: up to this share of the given codes is replaced at random in training, as a
            roll-out's own mistakes would be.
        steps: of the sampler (Euler), one pass each.
        noise_mean: of the logarithm of the training noise, in units of the data's deviation.
        noise_std: its standard deviation.
        noise_range: least and largest noise of the sampler.
    """

    space: CodeSpace = field(default_factory=CodeSpace)
    window: int = 4
    width: int = 96
    blocks: int = 2
    action_dim: int = 16
    targets: int = 8
    code_noise: float = 0.3
    steps: int = 5
    noise_mean: float = 0.3
    noise_std: float = 1.2
    noise_range: tuple[float, float] = (0.01, 20.0)


class Block(nn.Module):
    """A residual block whose channels are scaled and shifted by what is known."""

    def __init__(self, inputs: int, width: int, condition: int) -> None:
        super().__init__()
        self.modulate = nn.Linear(condition, 2 * inputs)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)
        self.block = TecoResBlock(inputs, width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, inputs, s, s) and (B, condition) -> (B, width, s, s)."""
        scale, shift = self.modulate(condition)[..., None, None].chunk(2, 1)
        return self.block(x * (1 + scale) + shift)


class LatentDiffusion(nn.Module):
    """See the top of the file and `codes.Baseline`; K = window, E channels of a code vector."""

    code_vectors: Tensor

    def __init__(self, cfg: LatentDiffusionConfig) -> None:
        super().__init__()
        self.cfg, self.space = cfg, cfg.space
        width, dim = cfg.width, cfg.space.dim
        self.noise = dim * cfg.space.grid**2
        self.register_buffer("code_vectors", torch.zeros(cfg.space.n_codes, dim))
        self.action = ActionEmbedding(cfg.space.actions, cfg.action_dim)
        condition = 4 * width
        self.condition = nn.Sequential(
            nn.Linear(width + cfg.window * cfg.action_dim, condition),
            nn.SiLU(),
            nn.Linear(condition, condition),
            nn.SiLU(),
        )
        self.input = nn.Conv2d((1 + cfg.window) * dim, width, 3, padding=1)
        self.down = _blocks(cfg.blocks, width, width, condition)
        self.low = _blocks(cfg.blocks, width, 2 * width, condition)
        self.attention = AttnBlock(2 * width)
        self.back = _blocks(cfg.blocks, 2 * width, 2 * width, condition)
        self.up = _blocks(cfg.blocks, 3 * width, width, condition)
        self.output = nn.Conv2d(width, dim, 3, padding=1)

    @property
    def scale(self) -> Tensor:
        """What gives code vectors the variance 1."""
        return 1 / self.code_vectors.square().mean().sqrt().clamp_min(1e-6)

    def loss(
        self, codes: Tensor, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """See `codes.Baseline`: squared error of random frames, weighted evenly over noises."""
        cfg, (b, t), place = self.cfg, codes.shape[:2], codes.device

        def uniform(*shape: int) -> Tensor:
            return torch.rand((b, cfg.targets, *shape), generator=generator).to(place)

        frames = valid.sum(1, keepdim=True)
        target = 1 + (uniform() * (frames - 1).clamp_min(1)).long()
        before = target[..., None] + torch.arange(-cfg.window, 0, device=place)
        rows = torch.arange(b, device=place)[:, None, None]
        past = codes[rows, before.clamp_min(0)]  # before a clip's first frame: that frame
        rate = cfg.code_noise * uniform(1, 1, 1)
        wrong = torch.randint(self.space.n_codes, past.shape, generator=generator).to(place)
        past = torch.where(uniform(*past.shape[2:]) < rate, wrong, past)
        action = self.action(actions[rows, before.clamp_min(0)], before >= 0)

        clean = self._vectors(codes[rows[..., 0], target].flatten(0, 1))
        sigma = (cfg.noise_mean + cfg.noise_std * normal(uniform().clamp(1e-6, 1 - 1e-6))).exp()
        sigma = sigma.flatten()
        noise = torch.randn(clean.shape, generator=generator).to(place)
        noised = clean + _wide(sigma) * noise
        found = self._denoise(noised, sigma, past.flatten(0, 1), action.flatten(0, 1))
        # 1 / c_out^2: every noise level counts alike.
        weight = (sigma.square() + 1) / sigma.square()
        error = (found - clean).square().mean((1, 2, 3)) * weight
        counted = valid.gather(1, target.clamp_max(t - 1)).flatten()
        mean = (error * counted).sum() / counted.sum().clamp_min(1)
        return {"loss": mean}

    def begin(self, codes: Tensor) -> State:
        """See `codes.Baseline`; the window is filled with the first frame, by unknown actions."""
        cfg, b = self.cfg, len(codes)
        return {
            "codes": codes[:, None].repeat(1, cfg.window, 1, 1),
            "actions": self.action.zeros(b, cfg.window - 1, device=codes.device),
            "known": torch.zeros(b, cfg.window - 1, dtype=torch.bool, device=codes.device),
        }

    def observe(self, state: State, codes: Tensor, action: Tensor) -> State:
        """See `codes.Baseline`."""
        known = torch.ones_like(state["known"][:, :1])
        return {
            "codes": torch.cat([state["codes"], codes[:, None]], 1)[:, 1:],
            "actions": torch.cat([state["actions"], action[:, None]], 1)[:, 1:],
            "known": torch.cat([state["known"], known], 1)[:, 1:],
        }

    def imagine(self, state: State, action: Tensor, noise: Tensor) -> tuple[State, Tensor]:
        """See `codes.Baseline`: Euler's method from noise to a frame, then the nearest codes."""
        cfg, (b, _, g, _) = self.cfg, state["codes"].shape
        taken = torch.cat([state["actions"], action[:, None]], 1)
        known = F.pad(state["known"], (0, 1), value=True)
        vectors = self.action(taken, known)
        low, high = (s ** (1 / 7) for s in cfg.noise_range)  # Karras et al., equation 5
        levels = [(high + i / max(1, cfg.steps - 1) * (low - high)) ** 7 for i in range(cfg.steps)]
        x = normal(noise).view(b, cfg.space.dim, g, g) * levels[0]
        for now, then in zip(levels, [*levels[1:], 0.0], strict=True):
            clean = self._denoise(x, x.new_full((b,), now), state["codes"], vectors)
            x = clean + (x - clean) * (then / now)
        codes = self._nearest(x)
        return self.observe(state, codes, action), codes

    def _denoise(self, x: Tensor, sigma: Tensor, past: Tensor, action: Tensor) -> Tensor:
        """The clean frame (N, E, g, g), as far as it can be told.

        Args:
            x: (N, E, g, g), of variance 1 + sigma^2.
            sigma: (N,).
            past: codes (N, K, g, g).
            action: vectors (N, K, A), the last of the action that leads to the frame.
        """
        total = (sigma.square() + 1).sqrt()
        level = _fourier(sigma.log() / 4, self.cfg.width)
        condition = self.condition(torch.cat([level, action.flatten(1)], 1))
        given = self._vectors(past).flatten(1, 2)
        x_in = torch.cat([x / _wide(total), given], 1)
        high = self.input(x_in)
        for block in self.down:
            high = block(high, condition)
        low = F.avg_pool2d(high, 2)
        for block in self.low:
            low = block(low, condition)
        low = self.attention(low)
        for block in self.back:
            low = block(low, condition)
        y = torch.cat([high, F.interpolate(low, scale_factor=2.0, mode="nearest")], 1)
        for block in self.up:
            y = block(y, condition)
        y = self.output(y).float()
        return x / _wide(total).square() + y * _wide(sigma / total)

    def _vectors(self, codes: Tensor) -> Tensor:
        return vectors_of(codes, self.code_vectors) * self.scale

    def _nearest(self, x: Tensor) -> Tensor:
        table = self.code_vectors * self.scale
        return (x.movedim(1, -1) @ table.T - 0.5 * table.square().sum(-1)).argmax(-1)


def _blocks(count: int, inputs: int, width: int, condition: int) -> nn.ModuleList:
    widths = [inputs] + [width] * count
    return nn.ModuleList(Block(i, o, condition) for i, o in pairwise(widths))


def _fourier(x: Tensor, width: int) -> Tensor:
    """(N,) -> (N, width) sines and cosines."""
    rate = torch.exp(torch.linspace(0, math.log(100), width // 2, device=x.device))
    angle = x[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], 1)


def _wide(x: Tensor) -> Tensor:
    return x[:, None, None, None]
