"""Branches in worlds that recall the whole recording: the moment's state, the end's memory."""

import gymnasium
import numpy as np
import pytest
from nano import make_nano

from agents.branching import Branches
from agents.hindsight import Library
from agents.ppo import Args, train
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.models.recall import SEEN

N, H, C = 3, 5, 3
OWN = ("key", "elapsed", "frame")  # noise, time and picture are not the model's


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A world that recalls fewer frames than a recording has, and one that recalls none."""
    root = tmp_path_factory.mktemp("worlds")
    return [str(make_nano(endless=True, recall=r).save(root / str(r))) for r in (12, 0)]


def settings(world):
    return {"world": world, "sampling": {"steps": 0}, "precision": "fp32", "backend": "torch"}


def test_the_world_is_at_the_moment_and_has_seen_all(folders, recordings):
    data = TrajectoryDataset.open(recordings)
    refs = data.episodes("train")
    moments = [(ref, C - 1 + i) for i, ref in enumerate(refs[: N + 1])]  # two waves
    moments += [(refs[0], refs[0].total_steps)]  # at the end there is nothing to come
    env = gymnasium.make_vec("TecoMaze-v0", num_envs=N, **settings(folders[0]))
    library = Library.of(env.unwrapped, data, moments, C)
    assert len(library) == len(moments)
    for i, (ref, at) in enumerate(moments):
        clip = data.read(ref)
        np.testing.assert_array_equal(library.frames[i], clip.observations[at + 1 - C : at + 1])
        np.testing.assert_array_equal(library.actions[i], clip.actions[at + 1 - C : at])
        one = gymnasium.make("TecoMaze-v0", **settings(folders[0])).unwrapped
        one.reset(options={"context": (clip.observations[: at + 1], clip.actions[:at])})
        expected = one.get_state()
        for frame, action in zip(clip.observations[at + 1 :], clip.actions[at:], strict=True):
            one.observe(frame, action)
        expected |= {name: one.get_state()[name] for name in SEEN}
        assert expected.keys() == library.state.keys()
        for name in expected.keys() - set(OWN):
            found = library.state[name][i]
            np.testing.assert_allclose(found, expected[name][0], atol=1e-4, err_msg=name)
        np.testing.assert_array_equal(library.state["frame"][i], library.frames[i, -1])


def test_branches_begin_at_prepared_moments(folders, recordings):
    shared = {"data": recordings, "context": C, "horizon": H, "device": "cpu"}
    envs = Branches("TecoMaze-v0", N, settings(folders[0]), **shared, hindsight=2)

    def walk(seed):
        told = [envs.reset(seed)]
        return told + [envs.step(np.full(N, t % 3)).obs for t in range(2 * H)]

    first = walk(1)
    assert len({frame.numpy().tobytes() for frame in first[0]}) <= 2
    assert all((a == b).all() for a, b in zip(walk(1), first, strict=True))
    assert not all((a == b).all() for a, b in zip(walk(2), first, strict=True))
    np.testing.assert_array_equal(envs._frames[:, -1], envs.reset(1).numpy())


def test_a_world_that_does_not_recall_is_refused(folders, recordings):
    shared = {"data": recordings, "context": C, "horizon": H, "device": "cpu"}
    with pytest.raises(InputError, match="'nano' does not recall frames by place"):
        Branches("TecoMaze-v0", N, settings(folders[1]), **shared, hindsight=2).reset(0)


def test_an_agent_trains_with_hindsight(folders, recordings, tmp_path):
    args = Args(
        tmp_path, env_kwargs=(f"world={folders[0]}",), num_envs=4, rollout=8, minibatches=2,
        steps=64, hidden=16, width=4, device="cpu", branch=H, branch_data=recordings,
        branch_context=C, branch_hindsight=3,
    )  # fmt: skip
    train(args)
    assert (tmp_path / "checkpoint.safetensors").exists()
