import numpy as np
import pytest

from worldmodel_env.data.episode import Episode
from worldmodel_env.errors import InputError


def arrays(steps: int = 5, **changed) -> dict:
    return {
        "observations": np.zeros((steps + 1, 32, 32, 3), np.uint8),
        "actions": np.zeros(steps, np.int64),
        "rewards": np.zeros(steps, np.float32),
        "terminations": np.zeros(steps, np.bool_),
        "truncations": np.zeros(steps, np.bool_),
        "pose": np.zeros((steps + 1, 3), np.float32),
        **changed,
    }


def test_a_valid_episode_knows_its_length():
    assert len(Episode(**arrays(5))) == 5
    assert len(Episode(**arrays(5, pose=None, actions=np.zeros((5, 2), np.float32)))) == 5


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"observations": np.zeros((5, 32, 32, 3), np.uint8)}, "6 frames"),
        ({"observations": np.zeros((6, 32, 32, 3), np.float32)}, "uint8"),
        ({"observations": np.zeros((6, 3, 32, 32), np.uint8)}, "uint8"),
        ({"actions": np.zeros(5, np.float64)}, "actions"),
        ({"actions": np.zeros((5, 2, 2), np.int64)}, "actions"),
        ({"rewards": np.zeros(5, np.float64)}, "rewards"),
        ({"rewards": np.zeros(6, np.float32)}, "rewards"),
        ({"terminations": np.zeros(5, np.int64)}, "terminations"),
        ({"truncations": np.zeros(4, np.bool_)}, "truncations"),
        ({"pose": np.zeros((5, 3), np.float32)}, "pose"),
    ],
)
def test_wrong_shapes_and_dtypes_are_named(changed, word):
    with pytest.raises(InputError, match=word):
        Episode(**arrays(5, **changed))


def test_the_hash_covers_every_array_but_not_the_attributes():
    reference = Episode(**arrays()).sha256
    assert Episode(**arrays(), attributes={"seed": 3}).sha256 == reference
    for name, value in arrays().items():
        changed = value.copy()
        changed.flat[-1] = 1
        assert Episode(**arrays(**{name: changed})).sha256 != reference, name
    assert Episode(**arrays(pose=None)).sha256 != reference
