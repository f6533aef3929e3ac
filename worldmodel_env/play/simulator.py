"""Which simulator a world imitates, and how to make it."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World


@dataclass(frozen=True)
class Simulator:
    """How to make the simulator.

    Attributes:
        name: its Gymnasium id.
        make: makes an environment without a time limit, anew for each walker.
        kwargs: the arguments that `make` gives it, for the record.
        cell: side of a cell of `info["layout"]` in the units of `info["pose"]`; None if unknown.
    """

    name: str
    make: Callable[[], gymnasium.Env]
    kwargs: Mapping[str, Any]
    cell: float | None


def simulator_of(world: World, cells: Mapping[str, float]) -> Simulator:
    """The simulator that a world was trained on, in its held-out mazes.

    Args:
        world: whose provenance names it.
        cells: what is known of simulators' maps: id -> side of a cell.

    Raises:
        InputError: the world does not say, or there is no such simulator here.
    """
    names = world.provenance.get("simulators") or [None]
    name = names[0]
    if not isinstance(name, str):
        raise InputError(
            f"the world {world.name!r} does not say which simulator it imitates, so there is none "
            "to compare with; leave out --compare."
        )
    module, _, simulator = (name if ":" in name else f"simulators:{name}").rpartition(":")
    try:
        importlib.import_module(module)  # which registers it
        entry: Any = gymnasium.spec(simulator).entry_point
        creator = load_env_creator(entry) if isinstance(entry, str) else entry
    except (gymnasium.error.Error, ImportError) as error:
        raise InputError(
            f"the world {world.name!r} imitates {name}, which cannot be made here ({error}); leave "
            "out --compare."
        ) from None
    parameters = inspect.signature(creator).parameters
    kwargs: dict[str, Any] = {"split": "test"} if "split" in parameters else {}
    return Simulator(
        name=simulator,
        make=lambda: gymnasium.make(simulator, disable_env_checker=True, **kwargs).unwrapped,
        kwargs=kwargs,
        cell=cells.get(name),
    )
