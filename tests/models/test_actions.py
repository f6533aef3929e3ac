"""Action spaces: which embed, how, and which are refused."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from worldmodel_env.config import from_json, to_json
from worldmodel_env.errors import InputError
from worldmodel_env.models.actions import ActionConfig, ActionEmbedding

DISCRETE = spaces.Discrete(3)
MULTI = spaces.MultiDiscrete([3, 2])
ONE = spaces.MultiDiscrete([3])
BOX = spaces.Box(np.array([-1, 0], np.float32), np.array([1, 4], np.float32))


@pytest.mark.parametrize("space", [DISCRETE, MULTI, ONE, BOX], ids=str)
def test_a_batch_of_any_space_embeds(space: spaces.Space) -> None:
    config = ActionConfig.of(space)
    assert from_json(ActionConfig, to_json(config)) == config
    embed = ActionEmbedding(config, 5)
    space.seed(0)
    clip = np.array([[space.sample() for _ in range(4)] for _ in range(2)])
    actions = torch.from_numpy(clip)
    assert embed(actions).shape == (2, 4, 5)
    assert embed(actions[:, 0]).shape == (2, 5)
    torch.testing.assert_close(embed(actions[:, 0]), embed(actions)[:, 0])
    embed(actions).sum().backward()
    learned = [p.grad for name, p in embed.named_parameters() if name != "null"]
    assert all(g is not None and g.abs().sum() > 0 for g in learned)


def test_different_actions_have_different_vectors() -> None:
    vectors = ActionEmbedding(ActionConfig.of(DISCRETE), 5)(torch.arange(3))
    assert len(torch.unique(vectors, dim=0)) == 3
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(2))
    vectors = ActionEmbedding(ActionConfig.of(MULTI), 5)(pairs)
    assert len(torch.unique(vectors, dim=0)) == 6


def test_a_box_is_scaled_to_its_bounds() -> None:
    embed = ActionEmbedding(ActionConfig.of(BOX), 5)
    low, middle, high = embed(torch.tensor([[-1.0, 0.0], [0.0, 2.0], [1.0, 4.0]]))
    torch.testing.assert_close(middle, embed.linear.bias)
    torch.testing.assert_close(high - middle, middle - low)
    torch.testing.assert_close(high - middle, embed.linear.weight.sum(1))


def test_unknown_actions_take_the_null_vector() -> None:
    embed = ActionEmbedding(ActionConfig.of(DISCRETE), 5)
    actions, known = torch.tensor([[0, 1], [2, 0]]), torch.tensor([[True, False], [False, True]])
    vectors = embed(actions, known)
    torch.testing.assert_close(vectors[~known], embed.null.expand(2, 5))
    torch.testing.assert_close(vectors[known], embed(actions)[known])


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3, start=1),
        spaces.MultiDiscrete([[3, 2], [2, 2]]),
        spaces.MultiDiscrete([3, 2], start=[0, 1]),
        spaces.Box(-np.inf, 1.0, (2,)),
        spaces.Box(-1.0, 1.0, (2, 2)),
        spaces.Box(-1.0, 1.0, ()),
        spaces.Box(0.0, np.array([0.0, 1.0], np.float32)),
        spaces.MultiBinary(3),
        spaces.Dict({"a": DISCRETE}),
    ],
    ids=str,
)
def test_other_spaces_are_refused(space: spaces.Space) -> None:
    with pytest.raises(InputError, match="is not supported; wrap the environment"):
        ActionConfig.of(space)
