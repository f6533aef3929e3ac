"""A baseline of `models/baselines` as a `Predictor`: with a tokenizer, from frames to frames."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.predictor import BATCH
from worldmodel_env.imagination.noise import uniform
from worldmodel_env.models.baselines.codes import Baseline
from worldmodel_env.models.vqgan import Vqgan


class BaselinePredictor:
    """A trained baseline; see `evaluation.predictor.Predictor`."""

    def __init__(self, name: str, tokenizer: Vqgan, model: Baseline, batch: int = BATCH) -> None:
        """Join a model and the tokenizer whose codes it knows, both on one device."""
        self.name, self.batch = name, batch
        self._tokenizer, self._model = tokenizer, model

    @torch.no_grad()
    def predict(
        self,
        frames: NDArray[np.uint8],
        actions: NDArray | None,
        horizon: int,
        seeds: NDArray[np.int64],
    ) -> NDArray[np.uint8]:
        """See `Predictor`."""
        side = self._tokenizer.cfg.resolution
        if actions is None or frames.shape[2:] != (side, side, 3):
            told = "no actions" if actions is None else "actions"
            raise InputError(
                f"baseline {self.name!r} got frames of shape {frames.shape[2:]} and {told}, "
                f"expected {(side, side, 3)} and actions; evaluate it on data it was trained for."
            )
        model, context = self._model, frames.shape[1]
        place = model.code_vectors.device
        taken = torch.from_numpy(np.asarray(actions)).to(place)
        keys = torch.from_numpy(seeds).to(place)

        def codes(t: int) -> Tensor:
            return self._tokenizer.encode(torch.from_numpy(frames[:, t]).to(place))

        state = model.begin(codes(0))
        for t in range(1, context):
            state = model.observe(state, codes(t), taken[:, t - 1])
        imagined: list[Tensor] = []
        for t in range(context - 1, context - 1 + horizon):
            noise = uniform(keys, torch.full_like(keys, t), model.noise)
            state, drawn = model.imagine(state, taken[:, t], noise)
            imagined.append(self._tokenizer.decode(drawn).cpu())
        return torch.stack(imagined, 1).numpy()
