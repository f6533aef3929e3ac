"""TECO: temporally consistent transformer for video (Yan et al. 2023), on grids of VQ-GAN codes.

A clip of T frames x_0 .. x_{T-1} with actions a_0 .. a_{T-2} (a_t leads from frame t to t+1):

    z_t  = quantise(encode(x_{t-1}, x_t))         what is new in frame t; frame 0 is not quantised
    h_t  = temporal(z_0 a_0, .., z_{t-1} a_{t-1}) what the past and the action say of frame t
    z_t  ~ prior(z_t | h_t)                       when imagining
    x_t  ~ decode(h_t, z_t)                       all codes at once

`imagination/step.py` calls the same pieces one frame at a time.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.errors import InputError
from worldmodel_env.models.actions import ActionConfig, ActionEmbedding
from worldmodel_env.models.autoregressive import Autoregressive
from worldmodel_env.models.blocks import PatchLinear, TecoResBlock, UnpatchLinear
from worldmodel_env.models.codebook import Codebook, Quantised
from worldmodel_env.models.heads import Outcome, OutcomeHead
from worldmodel_env.models.maskgit import Maskgit
from worldmodel_env.models.places import Motion
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.recall import HEADS, Memory, Recall
from worldmodel_env.models.temporal import TemporalConfig, TemporalTransformer

NO_FRAME = -1
"""Code of every cell of "the frame before frame 0"."""


@dataclass(frozen=True)
class TecoConfig:
    """Sizes and switches of a TECO; the defaults are the paper's DMLab model.

    Attributes:
        code_grid: side of the VQ-GAN's code grid.
        vq_codes: size of its codebook.
        vq_dim: width of its code vectors.
        actions: the action space; None takes the data set's when training starts.
        depths: channels at the code grid and at the latent grid (half its side).
        encoder_blocks: residual blocks at the latent grid.
        decoder_blocks: residual blocks at either grid.
        embed_dim: e, channels of h and z.
        n_codes: size of TECO's own codebook.
        code_dim: width of its vectors.
        temporal_stride: latent positions per side that share one temporal token.
        action_dim: width of an action's vector.
        temporal: the temporal transformer.
        prior: the prior of z.
        conditional_encoder: the posterior encoder sees the frame before as well, so that z holds
            only what is new (the paper's); without, every frame is encoded by itself.
        z_dropout: share of training frames decoded without z, so that h alone must carry the next
            frame; without it the decoder reads everything from the posterior z at small budgets,
            and imagination, which must guess z, fails.
        local_skip: a short path from the previous frame's codes and the action to the decoder.
        code_noise: in training, up to this share of the codes that the local path reads is replaced
            at random, as a roll-out's own mistakes would be.
        code_noise_levels: how finely the local path is told what share that is, so that it can
            trust what it reads when nothing is replaced; 0 does not tell it. Imagination tells it
            the lowest level, up to 1 / levels of the largest share.
        codebook_logits: the decoder also scores codes by their vectors.
        reencode: when imagining, z_t is read back from the decoded frame instead of the prior's
            sample, so that the past is what was shown.
        recall: frames that are remembered by the place they were seen from, for the local path to
            look up (`models/recall.py`); 0 for none, as in the paper.
        motion: what each action does to the pose, which `recall` needs; None takes the data set's
            when training starts.
        first_frame: frame 0 is predicted too, from nothing, so that a roll-out can start without a
            real frame; the reference cannot.
    """

    code_grid: int = 16
    vq_codes: int = 1024
    vq_dim: int = 256
    actions: ActionConfig | None = None
    depths: tuple[int, ...] = (256, 512)
    encoder_blocks: int = 2
    decoder_blocks: int = 4
    embed_dim: int = 64
    n_codes: int = 1024
    code_dim: int = 32
    temporal_stride: int = 8
    action_dim: int = 16
    temporal: TemporalConfig = field(default_factory=TemporalConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    z_dropout: float = 0.0
    local_skip: bool = False
    code_noise: float = 0.0
    code_noise_levels: int = 0
    codebook_logits: bool = False
    reencode: bool = False
    conditional_encoder: bool = True
    recall: int = 0
    motion: tuple[Motion, ...] | None = None
    first_frame: bool = False

    def __post_init__(self) -> None:
        """Refuse levels of a noise that is not there, a memory that cannot be (InputError)."""
        if self.code_noise_levels and not (self.code_noise and self.local_skip):
            raise InputError(
                f"code_noise_levels is {self.code_noise_levels}, but no code is replaced: "
                f"code_noise is {self.code_noise} and local_skip {self.local_skip}; turn both on."
            )
        if self.recall and not self.local_skip:
            raise InputError(
                f"recall is {self.recall}, but local_skip, which reads what is recalled, is off; "
                "turn it on."
            )
        actions, motion = self.actions, self.motion
        if self.recall and actions and motion and actions.choices != (len(motion),):
            raise InputError(
                f"motion is of {len(motion)} actions, but the action space is {actions}; give "
                "three numbers for each choice of a Discrete space, or recall 0."
            )

    @property
    def grid(self) -> int:
        """Side of the latent grid."""
        return self.code_grid // 2

    @property
    def tokens(self) -> int:
        """Temporal tokens per frame."""
        return (self.grid // self.temporal_stride) ** 2


class LatentEncoder(nn.Module):
    """Posterior encoder: (previous, current) code vectors to unquantised latents (section 1.3)."""

    def __init__(self, cfg: TecoConfig) -> None:
        super().__init__()
        high, low = cfg.depths
        self.conditional = cfg.conditional_encoder
        start = torch.randn(cfg.vq_dim, cfg.code_grid, cfg.code_grid) * 0.02
        # Distributed training waits for the gradient of whatever may have one.
        used = cfg.conditional_encoder or (cfg.first_frame and cfg.local_skip)
        self.start = nn.Parameter(start, requires_grad=used)
        self.input = nn.Conv2d(cfg.vq_dim * (1 + self.conditional), high, 3, padding=1)
        self.high = TecoResBlock(high, high)
        widths = [high] + [low] * cfg.encoder_blocks
        self.low = nn.Sequential(*(TecoResBlock(i, o) for i, o in pairwise(widths)))
        self.out = nn.Conv2d(low, cfg.embed_dim, 1)

    def forward(self, previous: Tensor, current: Tensor) -> Tensor:
        """Code vectors (B, E, 2g, 2g) twice -> (B, e, g, g)."""
        seen = torch.cat([previous, current], 1) if self.conditional else current
        x = self.high(self.input(seen))
        return self.out(self.low(F.avg_pool2d(x, 2)))


class LatentCodebook(nn.Module):
    """TECO's second quantiser, between two linear maps (section 1.4)."""

    def __init__(self, cfg: TecoConfig) -> None:
        super().__init__()
        self.down = nn.Linear(cfg.embed_dim, cfg.code_dim, bias=False)
        self.codebook = Codebook(cfg.n_codes, cfg.code_dim)
        self.up = nn.Linear(cfg.code_dim, cfg.embed_dim, bias=False)

    def project(self, latents: Tensor) -> Tensor:
        """(B, e, g, g) -> (B, g, g, code_dim)."""
        return self.down(latents.permute(0, 2, 3, 1))

    def forward(self, latents: Tensor) -> tuple[Tensor, Quantised]:
        """(B, e, g, g) -> embeddings (B, e, g, g) of the chosen codes, and the quantisation."""
        quantised = self.codebook(self.project(latents))
        vectors = quantised.vectors.to(self.up.weight.dtype)
        return self.up(vectors).permute(0, 3, 1, 2), quantised

    def embed(self, codes: Tensor) -> Tensor:
        """(B, g, g) int64 -> (B, e, g, g)."""
        vectors = self.codebook.lookup(codes).to(self.up.weight.dtype)
        return self.up(vectors).permute(0, 3, 1, 2)


class LocalSkip(nn.Module):
    """What the previous frame's codes and the action say of the next frame by themselves."""

    def __init__(self, cfg: TecoConfig) -> None:
        super().__init__()
        width = cfg.depths[0]
        self.input = nn.Conv2d(cfg.vq_dim, width, 3, padding=1)
        self.blocks = nn.ModuleList(TecoResBlock(width, width) for _ in range(2))
        # Turning left moves the image right: the action must choose filters, not only add to them.
        self.modulate = nn.ModuleList(nn.Linear(cfg.action_dim, 2 * width) for _ in range(2))
        self.recalled = None
        if cfg.recall:
            self.recalled = nn.Conv2d(HEADS * (cfg.vq_dim + 1), width, 3, padding=1, bias=False)
            # So that a world that is given it goes on as it was.
            nn.init.zeros_(self.recalled.weight)
        self.low = PatchLinear(width, cfg.embed_dim, 2)

    def forward(
        self, previous: Tensor, action: Tensor, recalled: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Read the frame before.

        Args:
            previous: code vectors (B, E, 2g, 2g).
            action: vectors (B, A).
            recalled: (B, HEADS * (E + 1), 2g, 2g) from `Recall`; None is nothing.

        Returns:
            Features (B, depths[0], 2g, 2g) for the decoder and (B, e, g, g) to add to h.
        """
        x = self.input(previous)
        if self.recalled is not None and recalled is not None:
            x = x + self.recalled(recalled.to(x.dtype))
        for block, modulate in zip(self.blocks, self.modulate, strict=True):
            scale, shift = modulate(action)[..., None, None].chunk(2, 1)
            x = block(x * (1 + scale) + shift)
        return x, self.low(x)


class Decoder(nn.Module):
    """(h, z) to logits of every VQ-GAN code of the frame (section 1.7)."""

    def __init__(self, cfg: TecoConfig) -> None:
        super().__init__()
        high, low = cfg.depths
        self.input = nn.Conv2d(2 * cfg.embed_dim, high, 3, padding=1)
        widths = [high] + [low] * cfg.decoder_blocks
        self.low = nn.Sequential(*(TecoResBlock(i, o) for i, o in pairwise(widths)))
        widths = [low + high * cfg.local_skip] + [high] * cfg.decoder_blocks
        self.high = nn.Sequential(*(TecoResBlock(i, o) for i, o in pairwise(widths)))
        self.norm = nn.LayerNorm(high, eps=1e-6)
        self.out = nn.Linear(high, cfg.vq_codes)
        self.vector = nn.Linear(high, cfg.vq_dim) if cfg.codebook_logits else None

    def forward(self, h: Tensor, z: Tensor, skip: Tensor | None, code_vectors: Tensor) -> Tensor:
        """Decode a batch of frames.

        Args:
            h: (B, e, g, g).
            z: (B, e, g, g).
            skip: (B, depths[0], 2g, 2g) from `LocalSkip`, or None.
            code_vectors: (K, E) of the VQ-GAN.

        Returns:
            (B, 2g, 2g, K) logits.
        """
        x = self.low(self.input(torch.cat([h, z.to(h.dtype)], 1)))
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.high(x if skip is None else torch.cat([x, skip], 1))
        x = x.permute(0, 2, 3, 1)
        places = x.shape[:3]
        # As one matrix: of tensors of more dimensions OpenVINO changes the layout time and again.
        x = self.norm(x.flatten(0, 2))
        logits = self.out(x)
        if self.vector is not None:
            logits = logits + self.vector(x) @ code_vectors.T.to(x.dtype)
        return logits.unflatten(0, places)


class Teco(nn.Module):
    """The pieces of the model; `training/teco_loss.py` and `imagination/step.py` arrange them."""

    code_vectors: Tensor

    def __init__(self, cfg: TecoConfig) -> None:
        super().__init__()
        if cfg.actions is None:
            raise ValueError("TecoConfig.actions is None; set it from the data set's action space.")
        self.cfg = cfg
        grid = cfg.grid
        side = grid // cfg.temporal_stride
        # The tokenizer's codebook, frozen: learned vectors start too slowly.
        self.register_buffer("code_vectors", torch.zeros(cfg.vq_codes, cfg.vq_dim))
        self.action = ActionEmbedding(cfg.actions, cfg.action_dim)
        self.encoder = LatentEncoder(cfg)
        self.codebook = LatentCodebook(cfg)
        self.to_tokens = PatchLinear(
            cfg.embed_dim + cfg.action_dim, cfg.temporal.dim, cfg.temporal_stride
        )
        self.start = nn.Parameter(torch.randn(side * side, cfg.temporal.dim) * 0.02)
        self.temporal = TemporalTransformer(cfg.temporal, side * side)
        self.from_tokens = UnpatchLinear(cfg.temporal.dim, cfg.embed_dim, cfg.temporal_stride)
        self.skip = LocalSkip(cfg) if cfg.local_skip else None
        self.recall = None
        if cfg.recall:
            if not cfg.motion:
                raise ValueError("TecoConfig.recall needs motion; set it from the data set.")
            self.recall = Recall(cfg.recall, cfg.motion, cfg.vq_dim, cfg.code_grid)
        levels = cfg.code_noise_levels
        self.noise_level = nn.Parameter(torch.zeros(levels, cfg.action_dim)) if levels else None
        prior = Autoregressive if cfg.prior.kind == "autoregressive" else Maskgit
        self.prior = prior(cfg.prior, cfg.n_codes, cfg.embed_dim, grid)
        self.null_z = nn.Parameter(torch.randn(cfg.embed_dim) * 0.02)
        self.decoder = Decoder(cfg)
        self.outcome_head = OutcomeHead(2 * cfg.embed_dim, grid)

    def vectors(self, codes: Tensor) -> Tensor:
        """VQ-GAN codes (B, 2g, 2g) -> their vectors (B, E, 2g, 2g)."""
        vectors = F.embedding(codes, self.code_vectors).to(self.start.dtype)
        return vectors.permute(0, 3, 1, 2)

    def tokens(self, z: Tensor, action: Tensor) -> Tensor:
        """Latents (B, e, g, g) and the action taken after them (B, A) -> (B, S, D)."""
        g = self.cfg.grid
        tiled = action[..., None, None].expand(-1, -1, g, g)
        x = self.to_tokens(torch.cat([z, tiled.to(z.dtype)], 1))
        return x.flatten(2).transpose(1, 2)

    def latent_map(self, x: Tensor) -> Tensor:
        """Temporal outputs (B, S, D) -> h (B, e, g, g)."""
        side = self.cfg.grid // self.cfg.temporal_stride
        return self.from_tokens(x.transpose(1, 2).unflatten(2, (side, side)))

    def remember(self, codes: Tensor) -> Memory:
        """The memory after a first frame, codes (B, 2g, 2g); empty without `recall`."""
        return self.recall.begin(codes) if self.recall else {}

    def keep(self, state: Memory, codes: Tensor, action: Tensor) -> Memory:
        """The memory after one frame more; empty without `recall`. See `Recall.keep`."""
        return self.recall.keep(state, codes, action, self.vectors) if self.recall else {}

    def look_up(self, state: Memory, action: Tensor) -> Tensor | None:
        """What is recalled of where actions lead; None without `recall`. See `Recall.look_up`."""
        return self.recall.look_up(state, action, self.vectors) if self.recall else None

    def look_up_clips(
        self,
        codes: Tensor,
        action: Tensor | None,
        known: Tensor | None = None,
        state: Memory | None = None,
    ) -> tuple[Tensor | None, Memory]:
        """The same for whole clips, and the memory after them. See `Recall.look_up_clips`."""
        if self.recall is None:
            return None, {}
        return self.recall.look_up_clips(codes, action, self.vectors, known, state)

    def predict(
        self,
        h: Tensor,
        previous: Tensor,
        action: Tensor,
        recalled: Tensor | None = None,
        level: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Add the local path to h.

        Args:
            h: (B, e, g, g).
            previous: VQ-GAN codes of the frame before (B, 2g, 2g); `NO_FRAME` before frame 0.
            action: vectors (B, A).
            recalled: (B, C, 2g, 2g) from `look_up`; None is nothing.
            level: (B,) int64 below `TecoConfig.code_noise_levels`, of the noise in `previous`; the
                lowest if not given.

        Returns:
            h with the local path (B, e, g, g), and the decoder's skip features or None.
        """
        if self.skip is None:
            return h, None
        vectors = self.vectors(previous.clamp_min(0) if self.cfg.first_frame else previous)
        if self.cfg.first_frame:
            absent = (previous == NO_FRAME)[:, None]
            vectors = torch.where(absent, self.encoder.start.to(vectors.dtype), vectors)
        if self.noise_level is not None:
            told = self.noise_level[:1] if level is None else self.noise_level[level]
            action = action + told.to(action.dtype)
        high, low = self.skip(vectors, action, recalled)
        return h + low, high

    def decode(self, h: Tensor, z: Tensor, skip: Tensor | None) -> Tensor:
        """Logits of a frame's codes (B, 2g, 2g, K)."""
        return self.decoder(h, z, skip, self.code_vectors)

    def empty_z(self, like: Tensor) -> Tensor:
        """The latent of "z unknown", in the shape of `like` (B, e, g, g)."""
        return self.null_z.to(like.dtype)[:, None, None].expand_as(like)

    def outcome(self, h: Tensor, z: Tensor) -> Outcome:
        """Reward and termination of the transition into the frame of (h, z); h without the skip."""
        return self.outcome_head(torch.cat([h, z.to(h.dtype)], 1))
