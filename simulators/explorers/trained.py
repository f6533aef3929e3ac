"""A policy that Stable-Baselines3 has trained, from the file it saved.

Such a file holds pickled objects, which can run any code when they are read. They are not read:
only the policy's weights are, as plain tensors. The network is built anew from the simulator's
spaces and the weights' shapes, so PPO, A2C and DQN with their standard networks can be used,
whatever number of frames was stacked; what was built otherwise is refused.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from worldmodel_env.errors import InputError

_WHIM = 0.05
"""Share of random actions of a policy that knows only the best one (DQN)."""
_FIRST_LAYERS = (
    "features_extractor.cnn.0.weight",
    "q_net.features_extractor.cnn.0.weight",
    "mlp_extractor.policy_net.0.weight",
    "q_net.q_net.0.weight",
)


class Trained:
    """Acts by the trained policy's own probabilities, drawn from the episode's seed."""

    def __init__(self, path: str) -> None:
        """Reads the weights; InputError if the file is not one of Stable-Baselines3's."""
        try:
            import stable_baselines3  # noqa: F401
        except ImportError as error:
            raise InputError(
                'Trained policies need Stable-Baselines3: pip install "worldmodel-env[sb3]".'
            ) from error
        self._path = path
        self._weights = _weights(Path(path))
        self._network: Any = None

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode; InputError if the policy is for other frames or actions."""
        if self._network is None:
            self._build(env.observation_space, env.action_space)
        self._space = env.action_space
        self._rng = np.random.default_rng(seed)
        height, width, colours = env.observation_space.shape
        self._seen = np.zeros((height, width, colours * self._frames), np.uint8)

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> Any:
        """An action drawn from what the policy makes of the last frames."""
        import torch

        self._seen = np.concatenate([self._seen[..., obs.shape[-1] :], obs], axis=-1)
        seen = torch.from_numpy(np.moveaxis(self._seen, -1, 0)[None].copy())
        with torch.no_grad():
            if self._values:
                best = int(self._network.q_net(seen).argmax())
                whim = self._rng.random() < _WHIM
                return int(self._rng.integers(self._space.n)) if whim else best
            drawn = self._network.get_distribution(seen).distribution
        if isinstance(self._space, spaces.Discrete):
            chances = drawn.probs[0].double().numpy()
            return int(self._rng.choice(len(chances), p=chances / chances.sum()))
        mean, spread = drawn.mean[0].numpy(), drawn.stddev[0].numpy()
        action = mean + spread * self._rng.standard_normal(len(mean))
        return np.clip(action, self._space.low, self._space.high).astype(np.float32)

    def _build(self, observation: Any, action: Any) -> None:
        from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy
        from stable_baselines3.dqn.policies import CnnPolicy, DQNPolicy

        height, width, colours = observation.shape
        first = next(name for name in _FIRST_LAYERS if name in self._weights)
        pictures = "cnn" in first
        self._values = first.startswith("q_net")
        one = colours if pictures else height * width * colours
        self._frames, rest = divmod(self._weights[first].shape[1], one)
        chosen = spaces.Discrete if self._values else spaces.Discrete | spaces.Box
        if rest or not self._frames or not isinstance(action, chosen):
            raise self._other(observation, action)
        stacked = spaces.Box(0, 255, (colours * self._frames, height, width), np.uint8)
        kinds = {
            (True, False): ActorCriticCnnPolicy, (False, False): ActorCriticPolicy,
            (True, True): CnnPolicy, (False, True): DQNPolicy,
        }  # fmt: skip
        try:
            network: Any = kinds[pictures, self._values](stacked, action, lambda _: 0.0)
            network.load_state_dict(self._weights)
        except (RuntimeError, AssertionError, ValueError) as error:
            raise self._other(observation, action) from error
        self._network = network.eval()

    def _other(self, observation: Any, action: Any) -> InputError:
        return InputError(
            f"the policy in {self._path} does not fit {observation} and {action}, or is not of a "
            "standard network of PPO, A2C or DQN: train it in the same simulator without "
            "policy_kwargs"
        )


def _weights(path: Path) -> dict[str, Any]:
    import torch

    if not path.is_file():
        raise InputError(f"there is no policy file {str(path)!r}: give the .zip that SB3 saved")
    try:
        with zipfile.ZipFile(path) as archive:
            content = archive.read("policy.pth")
        # Tensors and plain containers; anything else is refused by torch, not run.
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} holds no weights that can be read safely ({reason}): save the model again "
            "with Stable-Baselines3's save()"
        ) from error
    if not isinstance(weights, dict) or not any(name in weights for name in _FIRST_LAYERS):
        raise InputError(f"{path} holds no policy of PPO, A2C or DQN: others are not supported")
    return weights
