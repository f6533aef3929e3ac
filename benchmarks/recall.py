"""Memory against lag: what did the frame with this mark show?

A temporal transformer reads a recorded walk as code grids, one frame a step. One frame in `EVERY`
carries a mark of its own, a random vector. In every frame it is also given the mark of the last
frame that had one L steps earlier, L drawn anew from `LAGS`, and answers with a vector that is
compared with the grids of that frame and of 23 others of the same walk: recall is the share of
answers that are nearest to the right one, 1/24 by chance. Marks have nothing in common with one
another or with what they stand beside, so only what was kept of that moment helps; nothing is
imagined.

A frame is one token: grid, mark and question, each through a linear map of its own. One layer, so
that what is recalled is what one mixer recalls. All have the same number of parameters. Training
begins with short walks: answers in long ones cannot be learned before any answer is.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.mixers import equalised
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.models.temporal import TemporalConfig, TemporalTransformer

FRAMES = 301
"""Of a walk: an episode of 300 steps."""
LAGS = (4, 16, 32, 64, 128, 192, 256)
EVERY, MARK = 4, 32
"""Frames from one mark to the next, and its width."""
CANDIDATES = 24
STAGES = ((33, 16, 3000), (129, 8, 400), (FRAMES, 4, 300))
"""Frames of a walk, walks a step, steps. Attention finds marks within 300 steps of the first stage,
memories within some 2,000; of 600 they learn nothing."""
PEAK = 3e-3
WALKS = 48
"""Held-out walks by which a model is judged."""

TOKENS = 1
SIZE = TemporalConfig(128, 512, 4, 1, "window", window=FRAMES)
MIXERS: dict[str, dict[str, Any]] = {
    "full": {},
    "window": {"window": 8},
    "long window": {"window": 32},
    "gated_delta": {"window": 8, "memory": "gated_delta"},
    "mamba2": {"window": 8, "memory": "mamba2"},
    "ttt_linear": {"window": 8, "memory": "ttt_linear"},
    "ttt_mlp": {"window": 8, "memory": "ttt_mlp"},
}


@dataclass(frozen=True)
class Questions:
    """B walks of T frames, with a question in each frame.

    Attributes:
        codes: (B, T, g, g) int64.
        marks: (B, T, `MARK`); zeros where there is none.
        source: (B, T) int64, the frame asked for.
        asked: (B, T) bool; False where that would be before the walk.
    """

    codes: Tensor
    marks: Tensor
    source: Tensor
    asked: Tensor


def questions(codes: Tensor, lags: tuple[int, ...], generator: torch.Generator) -> Questions:
    """Ask in every frame for the last marked one as many frames back as a lag drawn from `lags`.

    Long lags are drawn more often where they can be, so that all are asked equally often.
    """
    b, t = codes.shape[:2]
    back = torch.tensor(lags)
    fits = back <= torch.arange(t)[:, None]
    weight = torch.where(fits | (back == min(lags)), 1 / (t - back), 0.0)
    drawn = weight.multinomial(b, replacement=True, generator=generator).T
    lag = back[drawn]
    marks = torch.zeros(b, t, MARK)
    marks[:, ::EVERY] = torch.randn(b, -(-t // EVERY), MARK, generator=generator)
    source = torch.arange(t) - lag
    return Questions(codes, marks, source.clamp_min(0) // EVERY * EVERY, source >= 0)


class Recall(nn.Module):
    """Marked grids and questions in, likeness to grids out."""

    vectors: Tensor

    def __init__(self, config: TemporalConfig, vectors: Tensor, grid: int) -> None:
        """`vectors`: (K, E) of the tokenizer's codes; `grid`: side of a code grid."""
        super().__init__()
        width = grid * grid * vectors.shape[1]
        self.register_buffer("vectors", vectors)
        self.grid = nn.Linear(width, config.dim)
        self.mark = nn.Linear(MARK, config.dim, bias=False)
        self.question = nn.Linear(MARK, config.dim, bias=False)
        self.none = nn.Parameter(torch.randn(config.dim) * 0.02)
        self.temporal = TemporalTransformer(config, TOKENS)
        self.answer = nn.Linear(config.dim, 64)
        self.meaning = nn.Linear(width, 64)
        self.sharpness = nn.Parameter(torch.tensor(2.3))

    def forward(self, asked: Questions) -> Tensor:
        """Answers (B, T, 64), of length 1."""
        place = asked.source[..., None].expand_as(asked.marks)
        question = self.question(asked.marks.gather(1, place))
        x = self.grid(self.vectors[asked.codes].flatten(2)) + self.mark(asked.marks)
        x = x + torch.where(asked.asked[..., None], question, self.none)
        return F.normalize(self.answer(self.temporal(x[:, :, None])[:, :, 0]), dim=-1)

    def likeness(self, answers: Tensor, codes: Tensor) -> Tensor:
        """Answers (B, N, 64) and walks (B, T, g, g) -> logits (B, N, T)."""
        meaning = F.normalize(self.meaning(self.vectors[codes].flatten(2)), dim=-1)
        return self.sharpness.exp() * answers @ meaning.mT


def scores(model: Recall, asked: Questions, frame: Tensor, generator: torch.Generator) -> Tensor:
    """Logits (B, N, `CANDIDATES`) of the questions in `frame` (B, N); the first one is right.

    The others are frames drawn from the walk, but for those that the right one's mark stands for or
    that look the same.
    """
    b, n = frame.shape
    row = torch.arange(b)[:, None, None]
    right = asked.source.gather(1, frame)[..., None]
    others = torch.randint(asked.codes.shape[1], (b, n, CANDIDATES - 1), generator=generator)
    candidates = torch.cat([right, others], 2)
    grids = asked.codes[row, candidates]
    same = (candidates // EVERY == right // EVERY) | (grids == grids[:, :, :1]).flatten(3).all(-1)
    same[..., 0] = False
    logits = model.likeness(model(asked)[row[..., 0], frame], asked.codes)
    return logits.gather(2, candidates).masked_fill(same, -torch.inf)


def some_asked(asked: Questions, count: int, generator: torch.Generator) -> Tensor:
    """(B, count) frames with a question."""
    urge = torch.rand(asked.asked.shape, generator=generator) + ~asked.asked
    return urge.argsort(1)[:, :count]


def walks(store: CodeStore) -> np.ndarray:
    """First frames of the episodes that are long enough."""
    return store.starts[:-1][np.diff(store.starts) >= FRAMES]


def read(store: CodeStore, first: np.ndarray, frames: int) -> Tensor:
    """Walks (B, frames, g, g) int64 from the frames `first`."""
    return torch.from_numpy(store.codes[first[:, None] + np.arange(frames)].astype(np.int64))


def train(
    model: Recall, store: CodeStore, stages: tuple[tuple[int, int, int], ...], seed: int
) -> None:
    """AdamW: a short warm-up, and a cosine to a tenth of the rate over all stages."""
    generator = torch.Generator().manual_seed(seed)
    firsts = walks(store)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.01)
    plan = [(frames, batch) for frames, batch, steps in stages for _ in range(steps)]
    for step, (frames, batch) in enumerate(plan):
        decay = 0.55 + 0.45 * math.cos(math.pi * step / len(plan))
        for group in optimizer.param_groups:
            group["lr"] = PEAK * min(1.0, (step + 1) / 50) * decay
        chosen = torch.randint(len(firsts), (batch,), generator=generator).numpy()
        shift = torch.randint(FRAMES - frames + 1, (batch,), generator=generator).numpy()
        codes = read(store, firsts[chosen] + shift, frames)
        asked = questions(codes, tuple(lag for lag in LAGS if lag < frames), generator)
        logits = scores(model, asked, some_asked(asked, 24, generator), generator)
        loss = -F.log_softmax(logits, -1)[..., 0].mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 49:
            print(f"  step {step + 1} of {len(plan)}: {loss.item():.3f}", flush=True)


@torch.no_grad()
def recalled(model: Recall, store: CodeStore) -> dict[str, float]:
    """Recall and cross-entropy by lag, on held-out walks, the same for all models."""
    found: dict[str, float] = {}
    for lag in LAGS:
        generator = torch.Generator().manual_seed(lag)
        logits = []
        for first in np.array_split(walks(store)[:WALKS], WALKS // 8):
            asked = questions(read(store, first, FRAMES), (lag,), generator)
            logits.append(scores(model, asked, some_asked(asked, 40, generator), generator))
        together = torch.cat(logits)
        found[f"recall at {lag}"] = float((together.argmax(-1) == 0).float().mean())
        found[f"CE at {lag}"] = float(-F.log_softmax(together, -1)[..., 0].mean())
    return found


def measure(
    mixer: str,
    stores: dict[str, CodeStore],
    vectors: Tensor,
    seed: int,
    stages: tuple[tuple[int, int, int], ...] = STAGES,
) -> dict[str, float]:
    """Train one mixer and ask it."""
    torch.manual_seed(seed)
    config = equalised(replace(SIZE, **MIXERS[mixer]), SIZE, TOKENS)
    model = Recall(config, vectors, stores["train"].codes.shape[1])
    began = time.process_time()
    train(model, stores["train"], stages, seed)
    seconds = time.process_time() - began
    parameters = sum(p.numel() for p in model.parameters())
    return {
        "parameters": parameters, "CPU s of training": seconds,
        **recalled(model, stores["validation"]),
    }  # fmt: skip
