"""The recurrent step of a world: two pure functions over a flat dict of tensors.

`step` imagines a frame, `observe` takes in a real one. Training strips, evaluation, environments
and exports all call these; there is no other roll-out.

State (batch first, fixed shapes; W sink and window, S tokens a frame, g latent grid):
    keys_0, values_0, ... of each layer  (B, heads, W, S, d)  rings, raw
    index   (B,) int64                   frames the rings have been given
    memory  (B, layers, heads, rows, d)  float32, only of models with a memory
    latent  (B, e, g, g)                 what is new in the present frame
    codes   (B, 2g, 2g) int64            VQ-GAN codes of the present frame

Models that recall frames by place (`TecoConfig.recall`, R of them) also keep
    views   (B, R, 2g, 2g) int64         codes of the last ones, a ring
    places  (B, R, 3) float32            the poses that they were seen from
    recalled (B,) int64                  frames that these rings have been given
    pose    (B, 3) float32               of the present frame

A model with absolute positions that goes on past its window (`window.py`) keeps, of the last R
frames, what it needs to read them again:
    clock   (B,) int64                      frames since the beginning
    history (B, R, 2g, 2g) int64            their codes
    taken   (B, R, ...)                     the actions that led to them
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from worldmodel_env.errors import InputError
from worldmodel_env.models.codebook import largest
from worldmodel_env.models.heads import Outcome
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import NO_FRAME, Teco
from worldmodel_env.models.vqgan import Vqgan

State = dict[str, Tensor]


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


@dataclass(frozen=True)
class Guess:
    """What a step makes of its noise, before it is shown.

    Attributes:
        z_codes: (B, g, g) int64 drawn from the prior, also where `Sampling.share` does not let
            them be used; None if it is not asked.
        logits: (B, 2g, 2g, K) float32 of the frame's codes.
        outcome: reward and termination.
    """

    z_codes: Tensor | None
    logits: Tensor
    outcome: Outcome


class Imagination(nn.Module):
    """Tokenizer and world model as a state machine."""

    def __init__(self, vqgan: Vqgan, teco: Teco, sampling: Sampling) -> None:
        """Join the parts.

        Raises:
            InputError: `sampling.refill` does not fit the model's window.
        """
        super().__init__()
        self.vqgan = vqgan
        self.teco = teco
        self.sampling = sampling
        window = teco.cfg.temporal.window
        if sampling.refill and (not self.bounded or sampling.refill >= window):
            raise InputError(
                f"sampling.refill is {sampling.refill}; give less than the window of {window} "
                "frames for a model with absolute positions, and 0 for others, which slide."
            )

    @property
    def bounded(self) -> bool:
        """Whether the model knows no frame beyond its window: its positions are absolute."""
        return self.teco.cfg.temporal.positions == "absolute"

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of `step`'s noise without the batch: (passes, 2, g*g).

        One more than passes where z is drawn for a share of the frames: whether for this one.
        """
        return self._noise_shape(self.sampling)

    @property
    def first_noise_shape(self) -> tuple[int, ...]:
        """Shape of `first`'s noise without the batch."""
        return self._noise_shape(self._first_sampling)

    @property
    def _first_sampling(self) -> Sampling:
        # Nothing precedes a first frame: without z it would always be the same.
        always = replace(self.sampling, share=1.0)
        return always if always.steps else replace(always, steps=8, temperature=1.0)

    def _noise_shape(self, sampling: Sampling) -> tuple[int, ...]:
        passes = self.teco.prior.passes(sampling) if sampling.steps else 1
        return (passes + sampling.sparing, 2, self.teco.cfg.grid**2)

    def begin(self, codes: Tensor) -> State:
        """The state after an episode's first frame.

        Args:
            codes: (B, 2g, 2g) int64, as `vqgan.encode` gives them.
        """
        state = beginning(self.teco, codes)
        if length := self.sampling.refill:
            batch = codes.shape[0]  # len() would fix it in exported graphs
            state["clock"] = torch.ones_like(state["index"])
            state["history"] = codes[:, None].expand(-1, length, -1, -1).contiguous()
            state["taken"] = self.teco.action.zeros(batch, length, device=codes.device)
        return state

    def first(self, noise: Tensor) -> Tensor:
        """Imagine an episode's first frame, out of nothing.

        Args:
            noise: (B, *first_noise_shape) numbers in (0, 1).

        Returns:
            Codes (B, 2g, 2g) int64, to `begin` with.

        Raises:
            InputError: the model has not learned it.
        """
        teco, batch = self.teco, noise.shape[0]
        if not teco.cfg.first_frame:
            raise InputError(
                "this world cannot imagine a first frame (TecoConfig.first_frame is off); begin "
                "with one of its starts or with a context."
            )
        out, state = _start(teco, batch)
        side = teco.cfg.code_grid
        nothing = state["index"].new_full((batch, side, side), NO_FRAME)
        h, skip = teco.predict(teco.latent_map(out), nothing, teco.action.null.expand(batch, -1))
        z, _ = self._draw(h, noise, self._first_sampling)
        return teco.decode(h, z, skip).argmax(-1)

    def step(self, state: State, action: Tensor, noise: Tensor) -> tuple[State, Imagined]:
        """Imagine the frame that `action` leads to.

        Args:
            state: as returned by `begin`, `step` or `observe`.
            action: (B,) int64, or (B, k) for several components or a box.
            noise: (B, *noise_shape) numbers in (0, 1).
        """
        state, guess = self.imagine(state, action, noise)
        return state, _imagined(self.vqgan.decode(state["codes"]), guess)

    def imagine(self, state: State, action: Tensor, noise: Tensor) -> tuple[State, Guess]:
        """`step` without the picture, which nothing in the following state depends on."""
        teco = self.teco
        past, h, vector = self._advance(state, action)
        h_local, skip = teco.predict(h, state["codes"], vector, teco.look_up(state, action))
        z, z_codes = self._draw(h_local, noise, self.sampling)
        logits = teco.decode(h_local, z, skip).float()
        codes = self._settled(state["codes"], largest(logits))
        latent = self._latent(state["codes"], codes) if teco.cfg.reencode else z
        guess = Guess(z_codes, logits, teco.outcome(h, latent))
        return self._next(state, past, latent, codes, action), guess

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
        past, _, _ = self._advance(state, action)
        return self._next(state, past, self._latent(state["codes"], codes), codes, action)

    def _advance(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        vector = self.teco.action(action)
        tokens = self.teco.tokens(state["latent"], vector)
        out, past = self.teco.temporal.step(tokens, state)
        return past, self.teco.latent_map(out), vector

    def _draw(self, h: Tensor, noise: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor | None]:
        """z (B, e, g, g), and its codes (B, g, g) unless the prior is not asked."""
        teco = self.teco
        if not sampling.steps:
            return teco.empty_z(h), None
        if not sampling.sparing:
            codes = teco.prior.sample(h, noise, sampling)
            return teco.codebook.embed(codes), codes
        noise, chance = noise[:, :-1], noise[:, -1, 0, 0]
        chosen = (chance < sampling.share)[:, None, None]
        codes = teco.prior.sample(h, noise, sampling, chosen.any())
        z = teco.codebook.embed(codes.where(chosen, 0))
        return torch.where(chosen[:, None], z, teco.empty_z(h)), codes

    def _settled(self, previous: Tensor, current: Tensor) -> Tensor:
        """The frame before, where hardly anything changes (`Sampling.still`)."""
        if not self.sampling.still:
            return current
        changed = (current != previous).float().mean((1, 2), keepdim=True)
        return torch.where(changed < self.sampling.still, previous, current)

    def _latent(self, previous: Tensor, current: Tensor) -> Tensor:
        teco = self.teco
        z, _ = teco.codebook(teco.encoder(teco.vectors(previous), teco.vectors(current)))
        return z

    def _next(
        self, state: State, past: State, latent: Tensor, codes: Tensor, action: Tensor
    ) -> State:
        latent = latent.to(state["latent"].dtype)
        new = {**past, "latent": latent, "codes": codes, **self.teco.keep(state, codes, action)}
        if "clock" in state:
            new["clock"] = state["clock"] + 1
            new["history"] = torch.cat([state["history"][:, 1:], codes[:, None]], 1)
            new["taken"] = torch.cat([state["taken"][:, 1:], action[:, None]], 1)
        return new


def beginning(teco: Teco, codes: Tensor) -> State:
    """The state after an episode's first frame, codes (B, 2g, 2g), as any model has it."""
    _, state = _start(teco, codes.shape[0])
    current = teco.vectors(codes)
    latent = teco.encoder(teco.encoder.start.expand_as(current), current)
    return {**state, "latent": latent, "codes": codes, **teco.remember(codes)}


def _start(teco: Teco, batch: int) -> tuple[Tensor, State]:
    """What the start token makes of nothing: temporal outputs, and the state with it."""
    start = teco.start.expand(batch, -1, -1)
    return teco.temporal.step(start, teco.temporal.begin(batch, start))


def _imagined(frame: Tensor, guess: Guess) -> Imagined:
    return Imagined(
        frame=frame,
        reward=guess.outcome.expected_reward(),
        termination=guess.outcome.termination.float().sigmoid(),
        surprise=_entropy(guess.logits).mean((1, 2)),
    )


def _entropy(logits: Tensor) -> Tensor:
    """(..., K) -> (...), nats; as one matrix and with one exponential, which a step notices."""
    flat = logits.flatten(0, -2)
    centred = flat - flat.amax(-1, keepdim=True)
    weight = centred.exp()
    total = weight.sum(-1)
    entropy = total.log() - (weight * centred).sum(-1) / total
    return entropy.view(logits.shape[:-1])
