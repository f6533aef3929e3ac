"""Stable-Baselines3 on N imagined worlds in one batch: its `VecEnv` over a vector environment.

    env = Sb3VecEnv(gymnasium.make_vec("TecoMaze-v0", num_envs=16, autoreset_mode="SameStep"))
    PPO("CnnPolicy", VecMonitor(env)).learn(100_000)

SB3 takes no vector environment of Gymnasium, and would step N single ones one after another.
"""

from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from worldmodel_env.errors import InputError

try:
    from stable_baselines3.common.vec_env import VecEnv
except ModuleNotFoundError as error:
    raise InputError(
        'Stable-Baselines3 is not installed: pip install "worldmodel-env[sb3]".'
    ) from error

_SINGLE = {
    "observation_space": "single_observation_space",
    "action_space": "single_action_space",
}
"""Attributes of one environment -> what they are called in a batch of them."""
_OWN = ("np_random", "np_random_seed")
"""Attributes of which each environment of a batch has its own."""


class Sb3VecEnv(VecEnv):
    """What SB3 calls a vectorized environment, with the worlds of `env` as its environments.

    Step, infos, seeds and options are as of SB3's `DummyVecEnv` over single environments:
    `terminal_observation` is the frame an episode ended with, `TimeLimit.truncated` tells whether
    the time limit alone ended it, and `reset_infos` hold what the last resets told. Gymnasium's
    vector wrappers may be around `env`, SB3's around this.

    Args:
        env: of `gymnasium.make_vec`, with autoreset_mode "SameStep" or "Disabled" and numpy output.

    Raises:
        InputError: another autoreset mode, another output, or no vector environment.
    """

    actions: NDArray

    def __init__(self, env: VectorEnv) -> None:
        if not isinstance(env, VectorEnv):
            raise InputError(
                f"env is {env!r}; give the vector environment that gymnasium.make_vec makes."
            )
        mode = env.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED):
            raise InputError(
                f"the autoreset mode is {mode}, but Stable-Baselines3 counts an episode's last "
                "step and the reset as one; make it with autoreset_mode='SameStep'."
            )
        if env.metadata.get("torch"):
            raise InputError("Stable-Baselines3 takes arrays; make env with output='numpy'.")
        self.env = env
        self._resets = mode is AutoresetMode.DISABLED
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def set_options(self, options: list[dict] | dict | None = None) -> None:
        """Set the options of the next `reset`, one dict for all as the vector environment takes it.

        Raises:
            InputError: a dict for each.
        """
        if isinstance(options, list):
            raise InputError(
                "the options are a list; give one dict for all environments, whose values may hold "
                "one of each: {'start': [0, 1, 2, ...]}."
            )
        super().set_options(options)

    def reset(self) -> NDArray:
        """Begin all episodes, with what `seed` and `set_options` were given since the last time."""
        seeds = None if self._seeds[0] is None else self._seeds
        obs, info = self.env.reset(seed=seeds, options=self._options[0] or None)  # type: ignore[arg-type]
        self.reset_infos = [_row(info, i) for i in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return obs

    def step_async(self, actions: NDArray) -> None:
        """Note the actions of the next step."""
        self.actions = actions

    def step_wait(self) -> tuple[NDArray, NDArray, NDArray, list[dict[str, Any]]]:
        """Step, and begin anew what ended.

        Returns:
            Observations (N, H, W, 3) uint8, rewards (N,) float32, whether the episodes ended (N,)
            bool, and an info each.
        """
        obs, rew, term, trunc, info = self.env.step(self.actions)
        infos = [_row(info, i) for i in range(self.num_envs)]
        done = term | trunc
        ended = np.flatnonzero(done).tolist()
        if self._resets and ended:
            last = obs
            obs, info = self.env.reset(options={"reset_mask": done})
            for i in ended:
                infos[i]["terminal_observation"] = last[i]
                self.reset_infos[i] = _row(info, i)
        elif ended:
            for i in ended:
                final, told = infos[i].pop("final_obs"), infos[i].pop("final_info")
                self.reset_infos[i] = infos[i]
                infos[i] = {**infos[i], **told, "terminal_observation": final}
        for i in range(self.num_envs):
            infos[i]["TimeLimit.truncated"] = bool(trunc[i] and not term[i])
        return obs, rew.astype(np.float32), done, infos

    def close(self) -> None:
        """Close the vector environment."""
        self.env.close()

    def get_images(self) -> list[NDArray | None]:
        """The present frames, enlarged; None without a render mode."""
        frames: Any = self.env.render()  # Gymnasium types it for all render modes at once
        return [None] * self.num_envs if frames is None else list(frames)

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of each environment; most are the batch's, and so the same for all."""
        value = getattr(self.env, _SINGLE.get(attr_name, attr_name))
        return [value[i] if attr_name in _OWN else value for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the batch.

        Raises:
            InputError: only some environments are meant.
        """
        self._all(attr_name, indices)
        setattr(self.env.unwrapped, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the vector environment, once.

        Returns:
            For each environment its part of a list, a tuple, an array, or a dict of arrays, as
            `get_state` returns it; else what all have in common.

        Raises:
            InputError: only some environments are meant.
        """
        self._all(method_name, indices)
        got = getattr(self.env, method_name)(*method_args, **method_kwargs)
        if isinstance(got, dict) and all(isinstance(v, np.ndarray) for v in got.values()):
            return [{k: v[i : i + 1] for k, v in got.items()} for i in range(self.num_envs)]
        if isinstance(got, list | tuple | np.ndarray) and len(got) == self.num_envs:
            return list(got)
        return [got] * self.num_envs

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Whether a wrapper of that class is around the vector environment."""
        env, found = self.env, False
        while isinstance(env, VectorWrapper):
            found = found or isinstance(env, wrapper_class)
            env = env.env
        return [found for _ in self._get_indices(indices)]

    def _all(self, what: str, indices: Any) -> None:
        if sorted(self._get_indices(indices)) != list(range(self.num_envs)):
            raise InputError(
                f"{what!r} is asked of the environments {indices!r} alone, but one model imagines "
                f"all {self.num_envs}; leave out indices."
            )


def _row(info: dict[str, Any], i: int) -> dict[str, Any]:
    """What a vector environment's `info` says of environment i."""
    own = {}
    for name, values in info.items():
        mask = info.get(f"_{name}")
        if not name.startswith("_") and (mask is None or mask[i]):
            own[name] = _row(values, i) if isinstance(values, dict) else values[i]
    return own
