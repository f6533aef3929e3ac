"""A split of a data set as code grids: 60 times smaller than frames, so it fits in memory."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from worldmodel_env.data.writer import replace_file


@dataclass(frozen=True)
class CodeStore:
    """All episodes of a split, end to end; F frames in E episodes.

    Attributes:
        codes: (F, g, g) uint16.
        actions: (F,) or (F, k); row f is the action taken after frame f, zero after a last frame.
        rewards: (F,) float32 of that action's transition.
        terminations: (F,) bool of that action's transition.
        starts: (E+1,) int64; episode i is frames starts[i] .. starts[i+1]-1.
        key: what the codes were made of: hashes of the data and of the tokenizer.
    """

    codes: NDArray[np.uint16]
    actions: NDArray[Any]
    rewards: NDArray[np.float32]
    terminations: NDArray[np.bool_]
    starts: NDArray[np.int64]
    key: dict[str, str]

    def save(self, path: Path) -> None:
        """Write one safetensors file, atomically."""
        tensors = {name: getattr(self, name) for name in _ARRAYS}
        tensors["terminations"] = self.terminations.astype(np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, save(tensors, {"key": json.dumps(self.key)}))

    @classmethod
    def load(cls, path: Path, key: dict[str, str]) -> "CodeStore | None":
        """Read a file made of `key`; None if there is no whole one, made of just that."""
        try:
            with safe_open(path, framework="numpy") as file:
                if json.loads(file.metadata()["key"]) != key:
                    return None
                arrays = {name: file.get_tensor(name) for name in _ARRAYS}
        except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError):
            return None
        return cls(**{**arrays, "terminations": arrays["terminations"] > 0}, key=key)


_ARRAYS = ("codes", "actions", "rewards", "terminations", "starts")
