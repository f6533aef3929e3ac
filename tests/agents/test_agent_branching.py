"""Imagined episodes that begin at recorded moments: where, how long, what is remembered."""

import gymnasium
import numpy as np
import pytest
import torch
from nano import make_nano

from agents.branching import Branches
from agents.network import Agent, AgentConfig
from agents.ppo import Args, train
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError

N, H, C = 4, 5, 3


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return str(make_nano(endless=True).save(tmp_path_factory.mktemp("world") / "world"))


def begin(world, recordings, **changes):
    settings = {"data": recordings, "context": C, "horizon": H, "device": "cpu"}
    kwargs = {"world": world, "sampling": {"steps": 0}, "precision": "fp32", "backend": "torch"}
    return Branches("TecoMaze-v0", N, kwargs, **{**settings, **changes})


def test_rows_begin_at_recorded_moments_and_are_cut_after_h_steps(world, recordings):
    episodes = TrajectoryDataset.open(recordings)
    recorded = {
        frame.tobytes() for ref in episodes.episodes("train")
        for frame in episodes.read(ref).observations[C - 1 :]
    }  # fmt: skip
    envs = begin(world, recordings)
    obs = envs.reset(3)
    assert all(frame.numpy().tobytes() in recorded for frame in obs)
    for t in range(1, 3 * H + 1):
        got = envs.step(np.full(N, t % 3))
        assert got.truncated.tolist() == [t % H == 0] * N
        assert not got.terminated.any()
        assert (got.final_obs != got.obs).any() == (t % H == 0)
        if t % H == 0:
            assert all(frame.numpy().tobytes() in recorded for frame in got.obs)


def test_rows_begun_ahead_of_time_are_as_if_begun_when_they_are_needed(world, recordings):
    """A plain environment given the same frames imagines the same, whenever a row began."""
    envs = begin(world, recordings)
    envs.reset(0)
    envs._steps[:] = np.arange(N)  # so that rows are cut one by one
    plain = gymnasium.make_vec(
        "TecoMaze-v0", num_envs=N, world=world, sampling={"steps": 0}, precision="fp32",
        backend="torch", autoreset_mode="Disabled",
    )  # fmt: skip
    plain.reset(options={"context": (envs._frames, envs._actions)})
    for t in range(4 * H):
        actions = np.arange(N) + t
        got, (seen, *_) = envs.step(actions % 3), plain.step(actions % 3)
        np.testing.assert_array_equal(got.final_obs.numpy(), seen)
        if (began := got.truncated.numpy()).any():
            options = {"context": (envs._frames, envs._actions), "reset_mask": began}
            seen, _ = plain.reset(options=options)
        np.testing.assert_array_equal(got.obs.numpy(), seen)


def test_the_same_seed_draws_the_same_moments(world, recordings):
    envs = begin(world, recordings)

    def walk(seed):
        told = [envs.reset(seed).numpy().tobytes()]
        return told + [envs.step(np.full(N, t % 3)).obs.numpy().tobytes() for t in range(2 * H)]

    first = walk(1)
    assert walk(2) != first
    assert walk(1) == first


def test_the_agent_remembers_the_recorded_frames_of_rows_that_begin(world, recordings):
    envs = begin(world, recordings)
    config = AgentConfig.of(
        envs.single_observation_space, envs.single_action_space, memory="gru", width=4, hidden=8
    )
    torch.manual_seed(0)
    agent = Agent(config)
    envs.reset(0)
    whole = envs.memory(agent)
    envs._steps[1:] += 1
    part = envs.memory(agent)
    torch.testing.assert_close(part[0], whole[0])
    assert not part[1:].any()
    with torch.no_grad():
        memory = agent.blank(1)
        for t in range(C - 1):
            known = agent(torch.from_numpy(envs._frames[:1, t]), memory)[2]
            memory = agent.remember(known, torch.tensor([[int(envs._actions[0, t])]]))
    torch.testing.assert_close(whole[:1], memory)
    envs._steps += 1
    assert not envs.memory(agent).any()


def test_an_agent_trains_in_branches(world, recordings, tmp_path):
    args = Args(
        tmp_path, env_kwargs=(f"world={world}",), num_envs=N, rollout=8, minibatches=2, steps=64,
        hidden=16, width=4, device="cpu", branch=H, branch_data=recordings, branch_context=C,
    )  # fmt: skip
    train(args)
    assert (tmp_path / "checkpoint.safetensors").exists()


def test_only_imagination_can_begin_at_a_recorded_moment(recordings):
    with pytest.raises(InputError, match="not imagined"):
        Branches("ToyRoom-v0", N, {}, data=recordings, context=C, horizon=H)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"horizon": 0}, "give 1 or more"), ({"context": 500}, "no training episode of 500 steps")],
)
def test_unfit_branches_are_refused(world, recordings, changes, message):
    with pytest.raises(InputError, match=message):
        begin(world, recordings, **changes)
