"""No number that is none ever reaches a user: neither from damaged weights nor out of a step."""

from dataclasses import replace

import gymnasium
import pytest
import torch
from nano import make_nano

from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.envs.teco_vector import TecoVectorEnv
from worldmodel_env.errors import InputError


def with_weights(change):
    world = make_nano()
    name = next(n for n in world.weights if n.endswith("outcome_head.mlp.2.bias"))
    return replace(world, weights={**world.weights, name: change(world.weights[name])})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(value):
    world = with_weights(lambda bias: torch.full_like(bias, value))
    for make in (TecoEnv, lambda w: TecoVectorEnv(2, w)):
        with pytest.raises(InputError, match=r"'nano' has the weight 'teco.outcome_head.*train"):
            make(world)


def test_a_step_that_overflows():
    """Finite weights whose products are not."""
    world = make_nano()
    weights = {
        name: weight * 1e37 if name.startswith("teco.outcome_head.mlp") else weight
        for name, weight in world.weights.items()
    }
    env = TecoEnv(replace(world, weights=weights), precision="fp32")
    before, _ = env.reset(seed=0)
    state = env.get_state()
    with pytest.raises(InputError, match=r"'nano' imagined .* no number.*precision='fp32'"):
        env.step(0)
    after = env.get_state()
    assert all((state[name] == after[name]).all() for name in state)
    assert before in env.observation_space


def test_a_damaged_folder(nano_world, tmp_path):
    folder = tmp_path / "world"
    folder.mkdir()
    for file in nano_world.iterdir():
        content = file.read_bytes()
        (folder / file.name).write_bytes(content[:-9] if file.suffix == ".safetensors" else content)
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(InputError, match=r"weights.safetensors is damaged .*copy or save"):
            make("TecoMaze-v0", world=str(folder))
