"""Go on from a world instead of from random weights: `worldmodel train teco --begin-with WORLD`."""

from pathlib import Path

from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.vqgan import Vqgan, VqganConfig
from worldmodel_env.training import vqgan as vqgan_stage
from worldmodel_env.training.checkpoint import Checkpoint, save_checkpoint
from worldmodel_env.training.encode import weights_hash


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


def take_weights(world: World, model: Teco) -> None:
    """Give a fresh model the weights of a world.

    Raises:
        InputError: the world's model has other sizes.
    """
    try:
        model.load_state_dict(_part(world, "teco"))
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()
        raise InputError(
            f"world {world.name!r} has other weights than the preset's model ({reason}); name the "
            "preset that the world was trained with."
        ) from None


def identity(world: World | None) -> str:
    """What a checkpoint remembers of the world that it began with; empty for none."""
    return f"{world.name} {world.digest[:12]}" if world else ""


def _part(world: World, name: str) -> dict[str, Tensor]:
    start = f"{name}."
    return {k.removeprefix(start): v for k, v in world.weights.items() if k.startswith(start)}
