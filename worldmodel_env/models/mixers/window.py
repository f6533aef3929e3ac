"""Attention over the last frames: of a whole clip, of a chunk after others, of a single frame.

Frames are numbered from an episode's beginning. Frame t sees the frames t-W+1 .. t, and the first
ones, the sink, for ever. Keys are kept as they are and rotated (RoPE) when used, by their distance
in frames: t - f inside the window; a sink's frame that has left it stays just behind the window,
where its distance no longer grows:

    distance(t, f) = min(t - f, W + sink - 1 - f)    for f < sink

so no distance exceeds those of training, and a roll-out may go on for ever. Raw keys as in LongLive
(Yang et al. 2025); the sink as in StreamingLLM (Xiao et al. 2023).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.models.mixers.state import Ring
from worldmodel_env.models.positions import rotate

NEVER = 1 << 40
"""Number of a frame that nobody sees."""


@dataclass(frozen=True)
class Window:
    """Who sees whom.

    Attributes:
        frames: W, frames that a frame attends to, itself included.
        sink: first frames that are never forgotten.
        relative: rotate keys and queries; otherwise their positions were added before.
        tokens: S, tokens of a frame.
    """

    frames: int
    sink: int
    relative: bool
    tokens: int

    @property
    def slots(self) -> int:
        """Frames that a cache keeps: the sink's, then a ring of W."""
        return self.sink + self.frames

    def whole(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """A clip from its beginning: queries, keys, values (B, heads, T*S, d) -> (.., T*S, d)."""
        frame = self._frames(q)[None]
        return self._attend(q, k, v, frame, frame, torch.zeros_like(frame[:, :1]))

    def chunk(
        self, q: Tensor, k: Tensor, v: Tensor, ring: Ring, index: Tensor
    ) -> tuple[Tensor, Ring]:
        """T frames after those in the ring.

        Args:
            q: (B, heads, T*S, d), as `k` and `v`.
            k: keys.
            v: values.
            ring: keys and values so far.
            index: (B,) int64, frames that the ring has been given.

        Returns:
            Weighted values (B, heads, T*S, d) and the next ring.
        """
        frames = q.shape[2] // self.tokens
        held = self.held(index)
        kept = torch.where(held >= 0, held - index[:, None], NEVER)
        here = self._frames(q).expand(q.shape[0], -1)
        there = torch.cat([kept.repeat_interleave(self.tokens, 1), here], 1)
        old_k, old_v = (old.to(k.dtype).flatten(2, 3) for old in ring)
        y = self._attend(
            q, torch.cat([old_k, k], 2), torch.cat([old_v, v], 2), here, there, index[:, None]
        )
        source = self.held(index + frames) - index[:, None]  # below 0: not of this chunk
        place = source.clamp_min(0)[:, None, :, None, None].expand_as(ring[0])
        written = (source >= 0)[:, None, :, None, None]

        def follow(old: Tensor, new: Tensor) -> Tensor:
            new = new.unflatten(2, (-1, self.tokens)).to(old.dtype)
            return torch.where(written, new.gather(2, place), old)

        return y, (follow(ring[0], k), follow(ring[1], v))

    def step(
        self, q: Tensor, k: Tensor, v: Tensor, ring: Ring, index: Tensor
    ) -> tuple[Tensor, Ring]:
        """One frame: `chunk` for T = 1, with fewer operations and those that export everywhere."""
        b, s = index.shape[0], self.tokens  # len() would fix it in exported graphs
        held = self.held(index + 1)  # the new frame takes the place of one that nobody sees
        age = index[:, None] - held
        here = (age == 0)[:, None, :, None, None]  # (B, 1, slots, 1, 1)
        keys = torch.where(here, k[:, :, None], ring[0])
        values = torch.where(here, v[:, :, None], ring[1])
        ring = keys, values
        keys, values = keys.flatten(2, 3), values.flatten(2, 3)
        newest = self.frames - 1
        if self.relative:
            if self.sink:
                behind = torch.minimum(age, self._last - held)
                age = torch.where(held < self.sink, behind, age)
            # Counted from the oldest frame in the window.
            position = (newest - age)[:, None, :, None].expand(b, 1, self.slots, s)
            q = rotate(q, torch.full((s,), newest, device=q.device))
            keys = rotate(keys, position.flatten(2))
        mask = (held >= 0)[:, None, None, :, None].expand(b, 1, 1, self.slots, s).flatten(3)
        # Spelled out: exported, torch's own attention scales and transposes all keys first.
        scores = (q * q.shape[-1] ** -0.5) @ keys.transpose(2, 3)
        weight = scores.masked_fill(~mask, -torch.inf).softmax(-1, dtype=torch.float32)
        return weight.to(values.dtype) @ values, ring

    def held(self, index: Tensor) -> Tensor:
        """Number of the frame in each slot after `index` (B,) frames; below 0: none. (B, slots)."""
        slots = torch.arange(self.frames, device=index.device)
        newest = index[:, None] - 1
        frame = newest - (newest - self.sink - slots) % self.frames
        if not self.sink:
            return frame
        frame = torch.where(frame < self.sink, -1, frame)
        first = torch.arange(self.sink, device=index.device).expand(index.shape[0], -1)
        return torch.cat([torch.where(first <= newest, first, -1), frame], 1)

    @property
    def _last(self) -> int:
        """Position from which a frame sees the sink, however late it is."""
        return self.frames + self.sink - 1

    def _frames(self, q: Tensor) -> Tensor:
        """Number of each token's frame in its chunk, (T*S,)."""
        frames = torch.arange(q.shape[2] // self.tokens, device=q.device)
        return frames.repeat_interleave(self.tokens)

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, here: Tensor, there: Tensor, first: Tensor
    ) -> Tensor:
        """Attention between tokens of the frames `here` (R, N) and `there` (R, M), R = B or 1.

        Both are counted from the chunk's first frame, whose own number is `first` (R, 1).
        """
        age = here[:, :, None] - there[:, None]
        mask = (age >= 0) & (age < self.frames)
        scale = q.shape[-1] ** -0.5
        sink = (there + first < self.sink)[:, None]  # (R, 1, M)
        if self.sink:
            mask = mask | ((age >= 0) & sink)
        if self.relative:
            at, key_at = here[:, None], torch.where(there < NEVER, there, 0)[:, None]
            near, near_keys = rotate(q, at), rotate(k, key_at)
            if self.sink:
                # Channels for either kind of key, so that one product scores both.
                far = rotate(q, (at + first[:, None]).clamp_max(self._last))
                far_keys = rotate(k, key_at + first[:, None])
                near = torch.cat([near, far], -1)
                of_sink = sink[..., None]
                near_keys = torch.cat([near_keys * ~of_sink, far_keys * of_sink], -1)
            q, k = near, near_keys
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None], scale=scale)
