"""Go on from a world instead of from random weights: `worldmodel train teco --begin-with WORLD`."""

from pathlib import Path

from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.models.mixers.memory import Memory
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.vqgan import Vqgan, VqganConfig
from worldmodel_env.training import vqgan as vqgan_stage
from worldmodel_env.training.checkpoint import Checkpoint, save_checkpoint
from worldmodel_env.training.encode import weights_hash

SILENT = ("recall.", "skip.recalled.")
"""Begin the names of what a model may have and the world that it begins with not, for it adds
nothing at first."""


def take_tokenizer(world: World, config: VqganConfig, out: Path) -> None:
    """Put a world's tokenizer into the run `out`, as if it had been trained there.

    Raises:
        InputError: it is of another configuration, or the run has another tokenizer.
    """
    if world.config.vqgan != config:
        raise InputError(
            f"world {world.name!r} has a tokenizer of another configuration than the preset; name "
            "the preset that the world was trained with."
        )
    tokenizer = Vqgan(config)
    tokenizer.load_state_dict(_part(world, "vqgan"))
    folder = out / vqgan_stage.STAGE
    if found := Checkpoint.find(folder):
        there = Vqgan(config)
        found.restore({"model": there}, config=config)
        if weights_hash(there) != weights_hash(tokenizer):
            raise InputError(
                f"{folder} holds another tokenizer than world {world.name!r}, whose model reads "
                "the codes of its own only; choose another --out."
            )
        return
    names = ("step", "seconds", "seed")
    counters = {name: world.provenance.get(f"tokenizer_{name}", 0) for name in names}
    save_checkpoint(
        folder, {"model": tokenizer}, config=config, counters={**counters, "finished": True}
    )


def take_weights(world: World, model: Teco, *, new_memory: bool = False) -> list[str]:
    """Give a fresh model the weights of a world.

    The model's window and sink may be others: no weight belongs to them. It may recall by place
    where the world did not.

    Args:
        world: whose weights.
        model: gets them.
        new_memory: the model has a memory that the world lacks, which stays as it is: its gate lets
            a tenth of it through.

    Returns:
        Names of the modules that the world does not have, which stay as they were.

    Raises:
        InputError: the world's model has other sizes, or another memory.
    """
    own = model.state_dict()
    weights = {k: v for k, v in own.items() if k.startswith(SILENT)} | _part(world, "teco")
    theirs, wanted = world.config.teco.temporal.memory, model.cfg.temporal.memory
    fresh: list[str] = []
    if theirs == "none" != wanted:
        if not new_memory:
            raise InputError(
                f"world {world.name!r} has no memory and the model's is {wanted!r}; add it with "
                f"--memory {wanted}, or use --memory none."
            )
        fresh = [name for name, part in model.named_modules() if isinstance(part, Memory)]
        weights |= {k: v for k, v in own.items() if any(k.startswith(f"{n}.") for n in fresh)}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise InputError(
            f"world {world.name!r} has other weights than the preset's model ({reason}); name the "
            "preset that the world was trained with."
        ) from None
    return fresh


def has_odometer(world: World) -> bool:
    """Whether a world has learned to tell from its frames how far a step led."""
    return any(name.startswith("teco.recall.odometer.") for name in world.weights)


def identity(world: World | None) -> str:
    """What a checkpoint remembers of the world that it began with; empty for none."""
    return f"{world.name} {world.digest[:12]}" if world else ""


def _part(world: World, name: str) -> dict[str, Tensor]:
    start = f"{name}."
    return {k.removeprefix(start): v for k, v in world.weights.items() if k.startswith(start)}
