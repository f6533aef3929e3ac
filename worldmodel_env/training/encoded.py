"""The recurrent half of TECO over whole clips: what the losses and the parity check are made of."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import State, beginning
from worldmodel_env.models.teco import NO_FRAME, Teco


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
        recalled: (N, C, 2g, 2g) from `Teco.look_up`, nothing for the first; None without recall.
        valid: (N,) bool, False in padding.
        losses: commitment and codebook terms.
        projected: (M, code_dim) latents before quantisation, for the codebook's upkeep.
        state: after the last frame, without gradient; None unless a state was carried here.
    """

    h: Tensor
    z: Tensor
    z_codes: Tensor
    target: Tensor
    previous: Tensor
    action: Tensor
    recalled: Tensor | None
    valid: Tensor
    losses: dict[str, Tensor]
    projected: Tensor
    state: State | None = None

    def select(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """h, z, z_codes and target of the frames in `index`."""
        return self.h[index], self.z[index], self.z_codes[index], self.target[index]

    def local(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the local path reads before them: previous, action, recalled."""
        recalled = None if self.recalled is None else self.recalled[index]
        return self.previous[index], self.action[index], recalled


def encode(
    model: Teco, clips: Clips, known: Tensor | None = None, carried: State | None = None
) -> Encoded:
    """Encoder, latent codebook and temporal transformer over whole clips.

    Args:
        model: the world model.
        clips: codes (B, T, 2g, 2g) with actions or without.
        known: (B,) or (B, T-1) bool; False hides a clip's actions, or one of them.
        carried: the state after each clip's first frame, as `continued` gives it, for clips that
            go on where others ended. Then P is T-1 in any case: frame 0 was predicted before.
    """
    b, t = clips.codes.shape[:2]
    x = model.vectors(clips.codes.flatten(0, 1)).unflatten(0, (b, t))
    first = 0 if carried is None else 1  # the first frame to encode
    start = model.encoder.start.expand(b, 1, -1, -1, -1)
    before = torch.cat([start, x[:, :-1]], 1)[:, first:]
    latents = model.encoder(before.flatten(0, 1), x[:, first:].flatten(0, 1))
    z, quantised = model.codebook(latents)
    latents, z = latents.unflatten(0, (b, -1)), z.unflatten(0, (b, -1))
    codes = quantised.codes.unflatten(0, (b, -1))

    shown = None if known is None else known.reshape(b, -1).expand(b, t - 1)
    if clips.actions is None:
        action = model.action.null.expand(b, t - 1, -1)
    else:
        action = model.action(clips.actions, shown)
    recalled, places = model.look_up_clips(clips.codes, clips.actions, shown, carried)
    previous, begin, state = clips.codes[:, :-1], 1, None
    if carried is None:
        # Frame 0 is context, never predicted: it need not fit the codebook.
        past = torch.cat([latents[:, :1], z[:, 1:-1]], 1)
        tokens = _tokens(model, past, action)
        sequence = torch.cat([model.start.to(tokens.dtype).expand(b, 1, -1, -1), tokens], 1)
        begin = 0 if model.cfg.first_frame else 1
        out = model.temporal(sequence)[:, begin:]
        z, codes = z[:, begin:], codes[:, begin:]
        if model.cfg.first_frame:
            previous = F.pad(previous, (0, 0, 0, 0, 1, 0), value=NO_FRAME)
            action = torch.cat([model.action.null.to(action.dtype).expand(b, 1, -1), action], 1)
            if recalled is not None:
                recalled = torch.cat([torch.zeros_like(recalled[:, :1]), recalled], 1)
    else:
        past = torch.cat([carried["latent"].to(z.dtype)[:, None], z[:, :-1]], 1)
        out, after = model.temporal.chunk(_tokens(model, past, action), carried)
        after |= {"latent": z[:, -1], "codes": clips.codes[:, -1], **places}
        state = {name: tensor.detach() for name, tensor in after.items()}

    valid = clips.valid[:, first:]
    weight = valid.flatten().float() / valid.sum().clamp_min(1)
    losses = {
        "commitment": (quantised.commitment.mean((1, 2)) * weight).sum(),
        "codebook": (quantised.codebook.mean((1, 2)) * weight).sum(),
    }
    return Encoded(
        h=model.latent_map(out.flatten(0, 1)),
        z=z.flatten(0, 1),
        z_codes=codes.flatten(0, 1),
        target=clips.codes[:, begin:].flatten(0, 1),
        previous=previous.flatten(0, 1),
        action=action.flatten(0, 1),
        recalled=None if recalled is None else recalled.flatten(0, 1),
        valid=clips.valid[:, begin:].flatten(),
        losses=losses,
        projected=model.codebook.project(latents.flatten(0, 1)[valid.flatten()])
        .detach()
        .flatten(0, 2),
        state=state,
    )


def continued(
    model: Teco, clips: Clips, state: State | None = None, begins: Tensor | None = None
) -> State:
    """What to carry into `encode`: each clip's first frame has been seen, nothing after it.

    Truncated back-propagation through time: clips of T frames of which each begins with the frame
    that the one before it ended with, so that it predicts T-1 frames more of the same episode.

    Args:
        model: the world model.
        clips: the clips to come.
        state: `Encoded.state` of the clips that they continue; None: all begin.
        begins: (B,) bool, rows that begin an episode instead.

    Raises:
        InputError: a row that continues shows another first frame than the state's last.
    """
    first = clips.codes[:, 0]
    fresh = beginning(model, first)
    if state is None:
        return fresh
    if begins is None:
        begins = torch.zeros(len(first), dtype=torch.bool, device=first.device)
    apart = (state["codes"] != first).flatten(1).any(1) & ~begins
    if bool(apart.any()):
        raise InputError(
            f"{int(apart.sum())} of {len(first)} clips do not begin with the frame that those "
            "before them ended with; cut them with one frame in common, or mark them in `begins`."
        )
    rows = {name: begins.view(-1, *[1] * (x.ndim - 1)) for name, x in state.items()}
    return {name: torch.where(rows[name], fresh[name].to(x.dtype), x) for name, x in state.items()}


def _tokens(model: Teco, past: Tensor, action: Tensor) -> Tensor:
    """Latents (B, N, e, g, g) and actions after them (B, N, A) -> (B, N, S, D)."""
    return model.tokens(past.flatten(0, 1), action.flatten(0, 1)).unflatten(0, past.shape[:2])


def posterior(model: Teco, previous: Tensor, current: Tensor) -> tuple[Tensor, Tensor]:
    """Latents of frames, given the ones before.

    Args:
        model: the world model.
        previous: codes (B, 2g, 2g); `NO_FRAME` before a first frame.
        current: codes (B, 2g, 2g).

    Returns:
        z (B, e, g, g) and its codes (B, g, g) int64.
    """
    absent = (previous == NO_FRAME)[:, None]
    before = model.vectors(previous.clamp_min(0))
    before = torch.where(absent, model.encoder.start.to(before.dtype), before)
    z, quantised = model.codebook(model.encoder(before, model.vectors(current)))
    return z, quantised.codes
