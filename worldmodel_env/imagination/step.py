"""The recurrent step of a world: two pure functions over a flat dict of tensors.

`step` imagines a frame, `observe` takes in a real one. Training strips, evaluation, environments
and exports all call these; there is no other roll-out.

State (batch first, fixed shapes; W window, S tokens a frame, g latent grid):
    cache   (B, layers, 2, heads, W, S, d)  ring of raw keys and values
    index   (B,) int64                      frames the ring has been given
    latent  (B, e, g, g)                    what is new in the present frame
    codes   (B, 2g, 2g) int64               VQ-GAN codes of the present frame
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from worldmodel_env.models.heads import Outcome
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.vqgan import Vqgan

State = dict[str, Tensor]


@dataclass(frozen=True)
class Sampling:
    """How the latent of the next frame is chosen.

    Attributes:
        steps: passes of the prior; 0 asks it nothing and decodes with z unknown, which is the
            fastest and the least varied.
        temperature: of the prior; 0 takes the likeliest codes.
    """

    steps: int = 4
    temperature: float = 1.0


@dataclass(frozen=True)
class Imagined:
    """One imagined transition.

    Attributes:
        frame: (B, R, R, 3) uint8.
        reward: (B,) float32, expected.
        termination: (B,) float32, probability that the episode ends with it.
        surprise: (B,) float32, mean entropy of the frame's codes, nats: how unsure the decoder is.
    """

    frame: Tensor
    reward: Tensor
    termination: Tensor
    surprise: Tensor


class Imagination(nn.Module):
    """Tokenizer and world model as a state machine."""

    def __init__(self, vqgan: Vqgan, teco: Teco, sampling: Sampling) -> None:
        super().__init__()
        self.vqgan = vqgan
        self.teco = teco
        self.sampling = sampling

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of `step`'s noise without the batch: (passes, 2, g*g)."""
        return (max(self.sampling.steps, 1), 2, self.teco.cfg.grid**2)

    def begin(self, codes: Tensor) -> State:
        """The state after an episode's first frame.

        Args:
            codes: (B, 2g, 2g) int64, as `vqgan.encode` gives them.
        """
        teco, b = self.teco, len(codes)
        index = torch.zeros(b, dtype=torch.int64, device=codes.device)
        start = teco.start.expand(b, -1, -1)
        _, cache = teco.temporal.step(start, teco.temporal.empty_cache(b, start), index)
        current = teco.vectors(codes)
        latent = teco.encoder(teco.encoder.start.expand_as(current), current)
        return {"cache": cache, "index": index + 1, "latent": latent, "codes": codes}

    def step(self, state: State, action: Tensor, noise: Tensor) -> tuple[State, Imagined]:
        """Imagine the frame that `action` leads to.

        Args:
            state: as returned by `begin`, `step` or `observe`.
            action: (B,) int64, or (B, k) for several components or a box.
            noise: (B, *noise_shape) numbers in (0, 1).
        """
        teco = self.teco
        cache, h, vector = self._advance(state, action)
        h_local, skip = teco.predict(h, state["codes"], vector)
        if self.sampling.steps:
            drawn = teco.prior.sample(
                h_local,
                noise,
                steps=self.sampling.steps,
                temperature=self.sampling.temperature,
            )
            z = teco.codebook.embed(drawn)
        else:
            z = teco.empty_z(h_local)
        logits = teco.decode(h_local, z, skip).float()
        codes = logits.argmax(-1)
        latent = self._latent(state["codes"], codes) if teco.cfg.reencode else z
        outcome = teco.outcome(h, latent)
        return self._next(state, cache, latent, codes), _imagined(
            self.vqgan.decode(codes), outcome, logits
        )

    def observe(self, state: State, frame: Tensor, action: Tensor) -> State:
        """Take in a real frame.

        Args:
            state: the state before.
            frame: (B, R, R, 3) uint8, what `action` led to.
            action: as in `step`.
        """
        return self.observe_codes(state, self.vqgan.encode(frame), action)

    def observe_codes(self, state: State, codes: Tensor, action: Tensor) -> State:
        """`observe` for a frame that is already encoded, codes (B, 2g, 2g)."""
        cache, _, _ = self._advance(state, action)
        return self._next(state, cache, self._latent(state["codes"], codes), codes)

    def _advance(self, state: State, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        vector = self.teco.action(action)
        tokens = self.teco.tokens(state["latent"], vector)
        out, cache = self.teco.temporal.step(tokens, state["cache"], state["index"])
        return cache, self.teco.latent_map(out), vector

    def _latent(self, previous: Tensor, current: Tensor) -> Tensor:
        teco = self.teco
        z, _ = teco.codebook(teco.encoder(teco.vectors(previous), teco.vectors(current)))
        return z

    @staticmethod
    def _next(state: State, cache: Tensor, latent: Tensor, codes: Tensor) -> State:
        latent = latent.to(state["latent"].dtype)
        return {"cache": cache, "index": state["index"] + 1, "latent": latent, "codes": codes}


def _imagined(frame: Tensor, outcome: Outcome, logits: Tensor) -> Imagined:
    logprob = logits.log_softmax(-1)
    return Imagined(
        frame=frame,
        reward=outcome.expected_reward(),
        termination=outcome.termination.float().sigmoid(),
        surprise=-(logprob.exp() * logprob).sum(-1).mean((1, 2)),
    )
