"""A transformer over every code of a short window: the family of VideoGPT and Perceiver AR.

After Yan et al. 2021 (VideoGPT: Video Generation using VQ-VAE and Transformers): codes are drawn
one after the other, frame by frame and in raster order, each from all before it in the window.
Attention over every code is what makes the window short: it costs the square of frames x codes.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.models.actions import ActionEmbedding
from worldmodel_env.models.baselines.codes import CodeHead, CodeSpace, State, cross_entropy
from worldmodel_env.models.positions import rotate
from worldmodel_env.models.sampling import Sampling, draw
from worldmodel_env.models.temporal import Layers


@dataclass(frozen=True)
class SpaceTimeConfig:
    """Sizes of the model.

    Attributes:
        space: what is modelled.
        window: frames that a code is drawn from, its own included.
        dim: width.
        mlp_dim: hidden width of the feed-forward layers.
        heads: attention heads.
        layers: transformer layers.
        windows: windows of each clip that a training step reads.
        temperature: of the draws; 0 takes the likeliest code.
    """

    space: CodeSpace = field(default_factory=CodeSpace)
    window: int = 6
    dim: int = 160
    mlp_dim: int = 640
    heads: int = 5
    layers: int = 4
    windows: int = 1
    temperature: float = 1.0


class SpaceTime(nn.Module):
    """See the top of the file and `codes.Baseline`; P = g*g codes a frame."""

    code_vectors: Tensor

    def __init__(self, cfg: SpaceTimeConfig) -> None:
        super().__init__()
        self.cfg, self.space = cfg, cfg.space
        self.noise = cfg.space.grid**2
        self._how = Sampling(1, cfg.temperature)
        self.register_buffer("code_vectors", torch.zeros(cfg.space.n_codes, cfg.space.dim))
        self.action = ActionEmbedding(cfg.space.actions, cfg.dim)
        # A place is told the code before it, and the one that was there a frame ago: attention
        # would find that one too, but only after most of a small budget.
        self.before = nn.Linear(cfg.space.dim, cfg.dim)
        self.here = nn.Linear(cfg.space.dim, cfg.dim)
        self.place = nn.Parameter(torch.randn(self.noise, cfg.dim) * 0.02)
        self.layers = Layers(cfg.layers, cfg.dim, cfg.mlp_dim, cfg.heads)
        self.head = CodeHead(cfg.dim, cfg.space)

    def loss(
        self, codes: Tensor, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """See `codes.Baseline`: nats per code of random windows, their first frames given."""
        b, t = codes.shape[:2]
        frames = min(self.cfg.window, t)
        # A window may begin wherever a real transition follows.
        last = (valid.sum(1, keepdim=True) - frames).clamp_min(0) + 1
        begin = torch.rand((b, self.cfg.windows), generator=generator).to(codes.device) * last
        rows = torch.arange(b, device=codes.device)[:, None, None]
        index = begin.long()[..., None] + torch.arange(frames, device=codes.device)
        window, taken = codes[rows, index].flatten(0, 1), actions[rows, index[..., :-1]]
        x = self._embed(window.flatten(2), taken.flatten(0, 1))
        frame = torch.arange(1, frames, device=codes.device).repeat_interleave(self.noise)

        def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            q, k = rotate(q, frame), rotate(k, frame)
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)

        for layer in self.layers:
            x = layer(x, mix)
        logits = self.head(x, self.code_vectors).unflatten(1, (frames - 1, self.noise))
        counted = valid[rows, index].flatten(0, 1)[:, 1:].flatten()
        target = window[:, 1:].flatten(2).flatten(0, 1)
        ce = cross_entropy(logits.flatten(0, 1), target, counted)
        return {"loss": ce, "cross_entropy": ce}

    def begin(self, codes: Tensor) -> State:
        """See `codes.Baseline`; the state is the window so far."""
        nothing = self.action.zeros(len(codes), 0, device=codes.device)
        return {"codes": codes.flatten(1)[:, None], "actions": nothing}

    def observe(self, state: State, codes: Tensor, action: Tensor) -> State:
        """See `codes.Baseline`."""
        window = torch.cat([state["codes"], codes.flatten(1)[:, None]], 1)[:, 1 - self.cfg.window :]
        taken = torch.cat([state["actions"], action[:, None]], 1)
        return {"codes": window, "actions": taken[:, taken.shape[1] + 1 - window.shape[1] :]}

    def imagine(self, state: State, action: Tensor, noise: Tensor) -> tuple[State, Tensor]:
        """See `codes.Baseline`: one pass over the window, then one per code."""
        past, places = state["codes"], self.noise
        known = (past.shape[1] - 1) * places
        new = torch.zeros_like(past[:, :1])
        taken = torch.cat([state["actions"], action[:, None]], 1)
        caches: list[tuple[Tensor, Tensor]] = []
        for place in range(places):
            if place == 0:
                x = self._embed(torch.cat([past, new], 1), taken)[:, : known + 1]
                x = self._pass(x, 0, caches)
            else:
                x = self._embed(torch.cat([past[:, -1:], new], 1), action[:, None])
                x = self._pass(x[:, place : place + 1], known + place, caches)
            logits = self.head(x[:, -1:], self.code_vectors).float()
            codes, _ = draw(logits, noise[:, place : place + 1], self._how)
            new[:, 0, place] = codes[:, 0]
        codes = new[:, 0].unflatten(1, (self.space.grid, self.space.grid))
        return self.observe(state, codes, action), codes

    def _pass(self, x: Tensor, first: int, caches: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Layers over positions first, first+1, ...; keys and values are kept in `caches`."""
        position = torch.arange(first, first + x.shape[1], device=x.device)
        frame = position // self.noise

        for number, layer in enumerate(self.layers):

            def mix(q: Tensor, k: Tensor, v: Tensor, number: int = number) -> Tensor:
                q, k = rotate(q, frame), rotate(k, frame)
                if first:
                    k = torch.cat([caches[number][0], k], 2)
                    v = torch.cat([caches[number][1], v], 2)
                    caches[number] = (k, v)
                else:
                    caches.append((k, v))
                return F.scaled_dot_product_attention(q, k, v, is_causal=not first)

            x = layer(x, mix)
        return x

    def _embed(self, codes: Tensor, actions: Tensor) -> Tensor:
        """Inputs (B, (n-1)*P, D) of frames 1 .. n-1, from codes (B, n, P) and actions (B, n-1)."""
        vectors = F.embedding(codes, self.code_vectors).to(self.place.dtype)
        before = vectors.flatten(1, 2)[:, self.noise - 1 : -1]
        x = self.before(before).unflatten(1, (-1, self.noise)) + self.here(vectors[:, :-1])
        x = x + self.place + self.action(actions)[:, :, None]
        return x.flatten(1, 2)
