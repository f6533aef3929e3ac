"""Temporal transformer: frames mixed by attention over a window and, if wanted, by a memory.

It computes the same function for whole clips, chunk by chunk, and one frame at a time
(tests/models/test_temporal.py), with a state of fixed size however many frames went by.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.errors import InputError
from worldmodel_env.models.mixers.memory import Memory
from worldmodel_env.models.mixers.state import (
    Ring,
    State,
    check_memory,
    check_rings,
    check_tokens,
    ring_names,
    rings,
)
from worldmodel_env.models.mixers.window import Window
from worldmodel_env.models.positions import sinusoids


@dataclass(frozen=True)
class TemporalConfig:
    """Sizes of the temporal transformer.

    Attributes:
        dim: width.
        mlp_dim: hidden width of the feed-forward layers.
        heads: attention heads, and heads of the memory.
        layers: transformer layers.
        positions: `window` rotates queries and keys by time (RoPE, relative to the window), so
            frames may leave the window; `absolute` adds the paper's sinusoids over the flat index.
        window: frames that a frame attends to, itself included; 1 leaves the past to the memory.
        sink: first frames that are seen for ever, besides the window; the start token is one.
        memory: a gated memory in every layer, between attention and feed-forward, for what the
            window has lost; see `models/mixers`.
        forgetting: TTT's memories also forget; the others do so in any case.

    Raises:
        InputError: a memory, a sink or forgetting that the rest does not allow.
    """

    dim: int = 1024
    mlp_dim: int = 4096
    heads: int = 16
    layers: int = 8
    positions: Literal["window", "absolute"] = "absolute"
    window: int = 300
    sink: int = 0
    memory: Literal["none", "gated_delta", "mamba2", "ttt_linear", "ttt_mlp"] = "none"
    forgetting: bool = False

    def __post_init__(self) -> None:
        if self.window < 1 or self.sink < 0:
            raise InputError(
                f"the temporal window is {self.window} frames and the sink {self.sink}; give at "
                "least 1 and 0."
            )
        if self.positions == "absolute" and (self.sink or self.memory != "none"):
            raise InputError(
                f"sink is {self.sink} and memory {self.memory!r}, but absolute positions end with "
                "the window; use positions='window'."
            )
        if self.forgetting and not self.memory.startswith("ttt"):
            raise InputError(
                f"forgetting is an option of TTT's memories, but memory is {self.memory!r}; turn "
                "it off."
            )


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


class MemoryLayer(Layer):
    """A layer with a memory between attention and feed-forward.

    A `Layer`, so that whoever shards, compiles or recomputes layers finds it.
    """

    def __init__(self, cfg: TemporalConfig, tokens: int) -> None:
        """`tokens`: S, of a frame."""
        super().__init__(cfg.dim, cfg.mlp_dim, cfg.heads)
        assert cfg.memory != "none"
        self.memory = Memory(cfg.memory, cfg.dim, cfg.heads, tokens, forgetting=cfg.forgetting)

    def forward(  # type: ignore[override]
        self, x: Tensor, mix: Mix, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, T*S, D) and the memory's state (B, heads, rows, d) -> the same."""
        x = x + self.attention(self.norm1(x), mix)
        x, state = self.memory(x.unflatten(1, (-1, self.memory.tokens)), state)
        x = x.flatten(1, 2)
        return x + self.mlp(self.norm2(x)), state


class Layers(nn.ModuleList):
    """A stack of `Layer`s."""

    def __init__(self, count: int, dim: int, mlp_dim: int, heads: int) -> None:
        super().__init__(Layer(dim, mlp_dim, heads) for _ in range(count))

    def __iter__(self) -> Iterator[Layer]:
        return super().__iter__()  # type: ignore[return-value]


class MemoryLayers(Layers):
    """A stack of `MemoryLayer`s."""

    def __init__(self, cfg: TemporalConfig, tokens: int) -> None:
        nn.ModuleList.__init__(self, (MemoryLayer(cfg, tokens) for _ in range(cfg.layers)))


class OutputHead(nn.Module):
    """Linear, tanh-GELU, LayerNorm: how TECO's transformers end."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, out)
        self.norm = nn.LayerNorm(out, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., out)."""
        return self.norm(F.gelu(self.linear(x), approximate="tanh"))


class TemporalTransformer(nn.Module):
    """Frames of S tokens: each token is told of all tokens of its own frame and of those before."""

    def __init__(self, cfg: TemporalConfig, tokens: int) -> None:
        """`tokens`: S, tokens per frame."""
        super().__init__()
        self.cfg = cfg
        self.tokens = tokens
        self.window = Window(cfg.window, cfg.sink, cfg.positions == "window", tokens)
        self.input = nn.Linear(cfg.dim, cfg.dim)
        if cfg.positions == "window":
            # Which of the frame's S tokens this is; absolute sinusoids tell it by themselves.
            self.place = nn.Parameter(torch.randn(tokens, cfg.dim) * 0.02)
        if cfg.memory == "none":
            self.layers = Layers(cfg.layers, cfg.dim, cfg.mlp_dim, cfg.heads)
        else:
            self.layers = MemoryLayers(cfg, tokens)
        self.head = OutputHead(cfg.dim, cfg.dim)

    def begin(self, batch: int, like: Tensor) -> State:
        """The state before the first frame, zeros on the device and in the dtype of `like`.

        Returns:
            keys_0, values_0, ...: (B, heads, sink + window, S, d), raw, of each layer; the sink's
                frames, then a ring.
            index: (B,) int64, how many frames each row has seen.
            memory: (B, L, heads, rows, d) float32 whatever the dtype; absent without a memory.
        """
        state = {
            name: like.new_zeros(batch, *self._ring_shape)
            for layer in range(self.cfg.layers) for name in ring_names(layer)
        }  # fmt: skip
        state["index"] = torch.zeros(batch, dtype=torch.int64, device=like.device)
        if shape := self._memory_shape:
            state["memory"] = like.new_zeros(batch, *shape, dtype=torch.float32)
        return state

    def forward(self, x: Tensor) -> Tensor:
        """Whole clips from their beginning: (B, T, S, D) -> (B, T, S, D)."""
        time = torch.arange(x.shape[1], device=x.device)[None]
        y = self._embed(x, time).flatten(1, 2)
        shape = self._memory_shape
        memory = y.new_zeros(len(x), *shape, dtype=torch.float32) if shape else None
        y, _ = self._through(y, [self.window.whole] * self.cfg.layers, memory)
        return self.head(y).view(x.shape)

    def chunk(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """T frames after those of a state: what `step` says of them one by one, in parallel.

        Args:
            x: (B, T, S, D).
            state: as `begin`, `chunk` or `step` returned it; other entries are left out.

        Returns:
            Outputs (B, T, S, D) and the state after the last frame.

        Raises:
            InputError: the state is another model's, or the frames have another number of tokens.
        """
        time = torch.arange(x.shape[1], device=x.device) + state["index"][:, None]
        return self._after(x, time, state, self.window.chunk)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One frame: as `chunk`, with (B, S, D) in and out."""
        y, state = self._after(x[:, None], state["index"][:, None], state, self.window.step)
        return y[:, 0], state

    def _after(
        self, x: Tensor, time: Tensor, state: State, attend: Callable[..., tuple[Tensor, Ring]]
    ) -> tuple[Tensor, State]:
        check_tokens(x, self.tokens)
        check_rings(state, self.cfg.layers, self._ring_shape)
        check_memory(state, self.cfg.memory, self._memory_shape)
        index = state["index"]
        following: State = {}

        def mixed(layer: int, old: Ring) -> Mix:
            def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                y, ring = attend(q, k, v, old, index)
                following.update(zip(ring_names(layer), ring, strict=True))
                return y

            return mix

        mixes = [mixed(layer, old) for layer, old in enumerate(rings(state, self.cfg.layers))]
        y, memory = self._through(self._embed(x, time).flatten(1, 2), mixes, state.get("memory"))
        following["index"] = index + x.shape[1]
        if memory is not None:
            following["memory"] = memory
        return self.head(y).view(x.shape), following

    def _through(
        self, x: Tensor, mixes: Sequence[Mix], memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The layers: (B, T*S, D) and the memory's states (B, L, heads, rows, d) -> the same."""
        if memory is None:
            for layer, mix in zip(self.layers, mixes, strict=True):
                x = layer(x, mix)
            return x, None
        following = []
        for layer, mix, state in zip(self.layers, mixes, memory.unbind(1), strict=True):
            x, state = layer(x, mix, state)
            following.append(state)
        return x, torch.stack(following, 1)

    def _embed(self, x: Tensor, time: Tensor) -> Tensor:
        """(B, T, S, D) and frame indices (B or 1, T) -> (B, T, S, D)."""
        x = self.input(x)
        if self.cfg.positions == "window":
            return x + self.place
        flat = time[..., None] * self.tokens + torch.arange(self.tokens, device=x.device)
        return x + sinusoids(flat, self.cfg.dim).to(x.dtype)

    @property
    def _ring_shape(self) -> tuple[int, ...]:
        cfg = self.cfg
        return (cfg.heads, self.window.slots, self.tokens, cfg.dim // cfg.heads)

    @property
    def _memory_shape(self) -> tuple[int, ...] | None:
        cfg, layer = self.cfg, self.layers[0]
        if not isinstance(layer, MemoryLayer):
            return None
        return (cfg.layers, cfg.heads, layer.memory.rows, cfg.dim // cfg.heads)
