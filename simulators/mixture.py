"""Policies by name, alone or mixed: "explore", or "explore=0.7,sloppy=0.15,out-and-back=0.15"."""

from dataclasses import dataclass

import numpy as np

from worldmodel_env.errors import InputError

# Keeps the draw apart from the simulator's and the policy's own use of the same seed.
_STREAM = 0x9E3779B9


@dataclass(frozen=True)
class Mixture:
    """Policy names with their probabilities; one policy acts through a whole episode."""

    names: tuple[str, ...]
    probabilities: tuple[float, ...]

    @classmethod
    def parse(cls, text: str) -> "Mixture":
        """Read "name" or "name=weight,name=weight"; InputError if it is neither."""
        names, weights = [], []
        for part in text.split(","):
            name, separator, weight = part.strip().partition("=")
            try:
                value = float(weight) if separator else 1.0
            except ValueError:
                value = 0.0
            if not name or not 0 < value < float("inf") or name in names:
                raise InputError(
                    f"policy {text!r} cannot be read at {part.strip()!r}: write a name, or each "
                    "name once with a positive weight, as in explore=0.8,random=0.2"
                )
            names.append(name)
            weights.append(value)
        total = sum(weights)
        return cls(tuple(names), tuple(weight / total for weight in weights))

    def draw(self, seed: int) -> str:
        """Return the name of the policy that acts in the episode of this seed."""
        rng = np.random.default_rng([seed, _STREAM])
        return self.names[int(rng.choice(len(self.names), p=self.probabilities))]
