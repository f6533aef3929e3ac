"""Record trajectories, train a TECO world model on them, and act inside it.

Importing this registers the imagined environments with Gymnasium and costs little: torch and the
world are loaded by `gymnasium.make`.
"""

from typing import TYPE_CHECKING, Any

from gymnasium.envs.registration import register

from worldmodel_env._version import __version__

if TYPE_CHECKING:
    from worldmodel_env.imagination.world import World

__all__ = ["World", "__version__"]


def _register(name: str, **kwargs: Any) -> None:
    register(
        name,
        entry_point="worldmodel_env.envs.teco_env:TecoEnv",
        vector_entry_point="worldmodel_env.envs.teco_vector:TecoVectorEnv",
        max_episode_steps=300,
        kwargs=kwargs,
    )


_WALK = ["turn left", "turn right", "forward"]
_register("TecoMaze-v0", world="maze", action_meanings=_WALK)
_register("TecoDMLab-v0", world="dmlab", action_meanings=_WALK)
# No world of these ships: `make` needs world=.
_register("TecoMinecraft-v0")
_register("TecoHabitat-v0")


def __getattr__(name: str) -> Any:
    if name == "World":
        from worldmodel_env.imagination.world import World

        return World
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
