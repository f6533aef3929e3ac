"""What a world model in training does with held-out episodes: losses, diagnostics, roll-outs."""

from pathlib import Path

import numpy as np
import torch

from worldmodel_env.data.clips import cut_clips, sample_clips
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.evaluation.metrics import WeightsMissing, psnr
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.strips import write_strips
from worldmodel_env.imagination.rollout import replay
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.precision import autocast
from worldmodel_env.training.recipes import TecoTraining
from worldmodel_env.training.teco_loss import diagnostics, teco_losses
from worldmodel_env.training.trainer import Findings

CLIPS = 16
ROLLOUTS = 8
CONTEXT = 36
HORIZONS = (1, 5, 10, 25)
STRIPS = 3


class HeldOut:
    """Validation clips and roll-outs, the same at every evaluation.

    A roll-out gets up to `CONTEXT` real frames, imagines what the recorded actions lead to, and is
    compared with the recorded frames. Only episodes that are long enough take part, so nothing is
    compared with padding; if all are short, roll-outs are.
    """

    def __init__(
        self,
        store: CodeStore,
        dataset: TrajectoryDataset,
        tokenizer: Vqgan,
        training: TecoTraining,
        dtype: torch.dtype,
    ) -> None:
        """Choose the clips.

        Args:
            store: the validation episodes' codes.
            dataset: their frames.
            tokenizer: on the device where models will be.
            training: clip length and losses.
            dtype: of the matrix work.
        """
        self.tokenizer, self.training, self.dtype = tokenizer, training, dtype
        self.place = next(tokenizer.parameters()).device
        batch = min(CLIPS, training.batch_size)
        self.clips = sample_clips(store, training.clip, batch, seed=0, step=0).to(self.place)
        begin, end = store.starts[:-1], store.starts[1:]
        wanted = CONTEXT + HORIZONS[-1]
        frames = min(wanted, training.clip, int((end - begin).max()))
        self.context = CONTEXT if frames == wanted else max(1, frames * 3 // 5)
        long = np.flatnonzero(end - begin >= frames)[:ROLLOUTS]
        self.rollouts = cut_clips(store, begin[long], end[long], frames).to(self.place)
        refs = dataset.episodes("validation")
        self.true = np.stack(
            [dataset.read(refs[i], self.context, frames).observations for i in long]
        )
        self.lpips: Lpips | None = None
        self._unavailable = ""
        try:
            self.lpips = Lpips("alex").to(self.place)
        except WeightsMissing as missing:
            self._unavailable = f"; LPIPS is not measured: {missing}"

    @torch.no_grad()
    def evaluate(self, model: Teco, step: int, folder: Path) -> Findings:
        """Measure `model` after `step` steps; a strip of imagined frames goes to `folder`."""
        with autocast(self.place, self.dtype):
            loss = self.training.loss
            losses, _ = teco_losses(model, self.clips, loss, torch.Generator().manual_seed(0))
            found = diagnostics(model, self.clips, torch.Generator().manual_seed(0))
        imagined = self._imagine(model)
        metrics = {f"validation_{name}": float(value) for name, value in losses.items()}
        metrics |= found | self._quality(imagined)
        strip = folder / "strips" / f"{step:06d}.png"
        strip.parent.mkdir(parents=True, exist_ok=True)
        shown = min(16, imagined.shape[1])
        rows = [
            {"true": t[:shown], "imagined": i[:shown]}
            for t, i in zip(self.true[:STRIPS], imagined[:STRIPS], strict=True)
        ]
        write_strips(strip, rows, range(1, shown + 1))
        text = (
            f"validation loss {metrics['validation_loss']:.4g}; next-code cross-entropy "
            f"{found['ce_posterior']:.2f} with z seen, {found['ce_prior']:.2f} from the prior, "
            f"{found['ce_null']:.2f} without z, {found['ce_shuffled_h']:.2f} with h shuffled; "
            f"PSNR of the first imagined frame {metrics['psnr_at_1']:.2f} dB"
        )
        text, self._unavailable = text + self._unavailable, ""  # said once
        return Findings(metrics, text, {"imagined": strip})

    def _imagine(self, model: Teco) -> np.ndarray:
        # A decoder that was trained without z now and then is best judged without a guess of it.
        sampling = Sampling(steps=0 if model.cfg.z_dropout else 8)
        codes, actions = self.rollouts.codes, self.rollouts.actions
        assert actions is not None  # a store's clips have them
        horizon = codes.shape[1] - self.context
        world = Imagination(self.tokenizer, model, sampling)
        return replay(world, codes[:, : self.context], actions, horizon, key=0).cpu().numpy()

    def _quality(self, imagined: np.ndarray) -> dict[str, float]:
        quality = {}
        for horizon in (h for h in HORIZONS if h <= imagined.shape[1]):
            true, ours = self.true[:, horizon - 1], imagined[:, horizon - 1]
            quality[f"psnr_at_{horizon}"] = float(psnr(true, ours).mean())
            if self.lpips is not None:
                quality[f"lpips_at_{horizon}"] = float(self.lpips.distance(true, ours).mean())
        return quality
