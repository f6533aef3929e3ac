"""Temporal transformer: frame-causal attention over a window, in parallel and one frame at a time.

The two forms compute the same function (tests/models/test_temporal.py). Keys are cached raw and
rotated when used, by their distance from the newest frame, so a roll-out may go on for ever.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TemporalConfig:
    """Sizes of the temporal transformer.

    Attributes:
        dim: width.
        mlp_dim: hidden width of the feed-forward layers.
        heads: attention heads.
        layers: transformer layers.
        positions: `window` rotates queries and keys by time (RoPE, relative to the window), so
            frames may leave the window; `absolute` adds the paper's sinusoids over the flat index.
        window: frames that a frame attends to, itself included.
    """

    dim: int = 1024
    mlp_dim: int = 4096
    heads: int = 16
    layers: int = 8
    positions: Literal["window", "absolute"] = "absolute"
    window: int = 300


Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values (B, heads, N, d) -> weighted values (B, heads, N, d)."""


class Attention(nn.Module):
    """Multi-head attention whose score and value products the caller arranges."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, D) -> queries, keys, values, each (B, heads, N, D / heads)."""
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return q, k, v

    def forward(self, x: Tensor, mix: Mix) -> Tensor:
        """(B, N, D) -> (B, N, D), each head's values weighted by `mix`."""
        return self.out(mix(*self.project(x)).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Linear, quick-GELU (x * sigmoid(1.702 x)), linear."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(dim, hidden)
        self.down = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., D)."""
        x = self.up(x)
        return self.down(x * torch.sigmoid(1.702 * x))


class Layer(nn.Module):
    """Pre-norm transformer layer."""

    def __init__(self, dim: int, mlp_dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, mlp_dim)

    def forward(self, x: Tensor, mix: Mix) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        x = x + self.attention(self.norm1(x), mix)
        return x + self.mlp(self.norm2(x))


class Layers(nn.ModuleList):
    """A stack of `Layer`s."""

    def __init__(self, count: int, dim: int, mlp_dim: int, heads: int) -> None:
        super().__init__(Layer(dim, mlp_dim, heads) for _ in range(count))

    def __iter__(self) -> Iterator[Layer]:
        return super().__iter__()  # type: ignore[return-value]


class OutputHead(nn.Module):
    """Linear, tanh-GELU, LayerNorm: how TECO's transformers end."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, out)
        self.norm = nn.LayerNorm(out, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., out)."""
        return self.norm(F.gelu(self.linear(x), approximate="tanh"))


def rotate(x: Tensor, position: Tensor) -> Tensor:
    """RoPE: turn the pairs (first half, second half) of (..., N, d) by `position` (..., N).

    Angles are position * 10000^(-2i/d). Only differences of positions reach the scores.
    """
    half = x.shape[-1] // 2
    rate = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angle = position[..., None].float() * rate
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def sinusoids(positions: Tensor, dim: int) -> Tensor:
    """(...) -> (..., dim): sines beside cosines, base 10000 (TECO section 1.5)."""
    rate = 10000.0 ** (-torch.arange(0, dim, 2, device=positions.device) / dim)
    angle = positions[..., None].float() * rate
    return torch.cat([angle.sin(), angle.cos()], -1)


class TemporalTransformer(nn.Module):
    """Attention over frames of S tokens: each token sees all tokens of its window's frames."""

    def __init__(self, cfg: TemporalConfig, tokens: int) -> None:
        """`tokens`: S, tokens per frame."""
        super().__init__()
        self.cfg = cfg
        self.tokens = tokens
        self.input = nn.Linear(cfg.dim, cfg.dim)
        if cfg.positions == "window":
            # Which of the frame's S tokens this is; absolute sinusoids tell it by themselves.
            self.place = nn.Parameter(torch.randn(tokens, cfg.dim) * 0.02)
        self.layers = Layers(cfg.layers, cfg.dim, cfg.mlp_dim, cfg.heads)
        self.head = OutputHead(cfg.dim, cfg.dim)

    def _embed(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, T, S, D) and frame indices (B or 1, T) -> (B, T, S, D)."""
        x = self.input(x)
        if self.cfg.positions == "window":
            return x + self.place
        flat = time[..., None] * self.tokens + torch.arange(self.tokens, device=x.device)
        return x + sinusoids(flat, self.cfg.dim).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """All frames at once: (B, T, S, D) -> (B, T, S, D)."""
        b, t, s, d = x.shape
        time = torch.arange(t, device=x.device)
        x = self._embed(x, time[None]).flatten(1, 2)
        frame = time.repeat_interleave(s)
        age = frame[:, None] - frame[None, :]
        mask = (age >= 0) & (age < self.cfg.window)

        def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            if self.cfg.positions == "window":
                q, k = rotate(q, frame), rotate(k, frame)
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

        for layer in self.layers:
            x = layer(x, mix)
        return self.head(x).view(b, t, s, d)

    def empty_cache(self, batch: int, like: Tensor) -> Tensor:
        """Zeros (B, L, 2, heads, window, S, d): a ring of raw keys and values per layer."""
        cfg = self.cfg
        shape = (cfg.layers, 2, cfg.heads, cfg.window, self.tokens, cfg.dim // cfg.heads)
        return like.new_zeros(batch, *shape)

    def step(self, x: Tensor, cache: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """One frame: the same function as `forward`, from what the cache remembers.

        Args:
            x: the frame's tokens (B, S, D).
            cache: (B, L, 2, heads, window, S, d), as returned by the step before.
            index: (B,) int64, how many frames each row has seen before this one.

        Returns:
            Outputs (B, S, D) and the cache with this frame in slot index mod window.
        """
        cfg, (b, s, _) = self.cfg, x.shape
        x = self._embed(x[:, None], index[:, None])[:, 0]
        slots = torch.arange(cfg.window, device=x.device)
        # Frames since a slot was written; a slot never written is older than the row itself.
        age = (index[:, None] - slots) % cfg.window  # (B, W)
        seen = (age <= index[:, None])[:, None, None, :, None]
        position = cfg.window - 1 - age  # window-relative: the newest frame is always at W-1
        key_position = position[:, None, :, None].expand(b, 1, cfg.window, s)
        query_position = torch.full((s,), cfg.window - 1, device=x.device)
        here = (slots == index[:, None] % cfg.window)[:, None, :, None, None]  # (B, 1, W, 1, 1)
        mask = seen.expand(b, 1, 1, cfg.window, s).flatten(3)
        caches = []
        for layer, old in zip(self.layers, cache.unbind(1), strict=True):

            def mix(q: Tensor, k: Tensor, v: Tensor, old: Tensor = old) -> Tensor:
                keys = torch.where(here, k[:, :, None], old[:, 0])
                values = torch.where(here, v[:, :, None], old[:, 1])
                caches.append(torch.stack([keys, values], 1))
                if cfg.positions == "window":
                    q, keys = rotate(q, query_position), rotate(keys, key_position)
                keys, values = keys.flatten(2, 3), values.flatten(2, 3)
                return F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)

            x = layer(x, mix)
        return self.head(x), torch.stack(caches, 1)
