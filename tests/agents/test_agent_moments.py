"""The same policy from the same moments, in the simulator and in a world."""

import gymnasium
import numpy as np
import pytest
import torch
import toy_room
from nano import make_nano

from agents.baselines import Rows, Uniform
from agents.collect import collect
from agents.moments import from_moments
from agents.network import Agent, AgentConfig
from agents.policy import Actors, remembered
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError

C, M = 2, 7


class Reading:
    """Does what the colour says, which the simulator pays for."""

    def reset(self, env, seed):
        pass

    def act(self, env, obs, info):
        return int(np.argmax(obs[0, 0]))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    data = tmp_path_factory.mktemp("set")
    (data / "data" / "episodes").mkdir(parents=True)
    collect(Uniform(), "random", "ToyRoom-v0", data, episodes=6, first=0, kwargs={})
    return TrajectoryDataset.open(data)


@pytest.fixture(scope="module")
def kwargs(tmp_path_factory):
    folder = make_nano().save(tmp_path_factory.mktemp("world") / "world")
    sampling = {"steps": 0}
    return {"world": str(folder), "sampling": sampling, "precision": "fp32", "backend": "torch"}


def compare(recordings, kwargs, policy=None, **changes):
    settings = {"moments": M, "context": C, "horizon": 9, "num_envs": 4, **changes}
    return from_moments(policy or Rows.of(Reading), recordings, "TecoMaze-v0", kwargs, **settings)


def test_in_the_simulator_the_policy_ends_the_recorded_episodes(recordings, kwargs):
    real, dreamt = compare(recordings, kwargs)
    assert len(real.seeds) == len(real.steps) == len(dreamt.steps) == M
    assert set(real.seeds) <= set(range(6))
    assert real.success.all()
    np.testing.assert_allclose(real.returns, 0.2 * real.steps, rtol=1e-6)
    # Episodes have five steps, and the context's last frame is at one to four of them.
    assert set(real.steps) <= {1, 2, 3, 4}
    assert len(set(real.steps)) > 1


def test_it_is_cut_after_the_horizon(recordings, kwargs):
    real, dreamt = compare(recordings, kwargs, horizon=1)
    assert set(real.steps) == set(dreamt.steps) == {1}
    assert 0 < real.success.mean() < 1


def test_the_world_is_shown_the_moments_and_stepped_on(recordings, kwargs):
    """All moments at once, by hand, come to the same."""
    _, dreamt = compare(recordings, kwargs, horizon=3, num_envs=M)
    random = np.random.default_rng(0)
    refs = recordings.episodes("train")
    chosen = random.choice(len(refs), M, p=np.full(6, 1 / 6))
    at = [int(random.integers(C - 1, 5)) for _ in chosen]
    clips = [recordings.read(refs[i], t + 1 - C, t + 1) for i, t in zip(chosen, at, strict=True)]
    context = (
        np.stack([clip.observations[:C] for clip in clips]),
        np.stack([clip.actions[: C - 1] for clip in clips]),
    )
    envs = gymnasium.make_vec("TecoMaze-v0", num_envs=M, autoreset_mode="SameStep", **kwargs)
    obs, _ = envs.reset(seed=list(range(M)), options={"context": context})
    returns, steps, going = np.zeros(M), np.zeros(M), np.ones(M, bool)
    for _ in range(3):
        obs, reward, terminated, truncated, _ = envs.step(obs[:, 0, 0].argmax(-1))
        returns, steps = returns + going * reward, steps + going
        going &= ~(terminated | truncated)
    np.testing.assert_allclose(dreamt.returns, returns, rtol=1e-5)
    np.testing.assert_array_equal(dreamt.steps, steps)


def test_the_same_seed_the_same_scores(recordings, kwargs):
    agent = Agent(AgentConfig.of(*spaces_of("ToyRoom-v0")))
    torch.nn.init.normal_(agent.actor.weight)
    first, again, other = (
        [(s.returns.tolist(), s.steps.tolist()) for s in compare(
            recordings, kwargs, Actors.of(agent), seed=seed
        )] for seed in (1, 1, 2)
    )  # fmt: skip
    assert first == again != other


def test_an_agent_goes_on_from_what_others_did(recordings):
    agent = Agent(AgentConfig.of(*spaces_of("ToyRoom-v0")))
    episode = recordings.read(recordings.episodes("train")[0])
    frames, actions = torch.from_numpy(episode.observations[None, :-1]), episode.actions[None]
    actors = Actors(agent, 1)
    actors.follow(frames, actions)
    torch.testing.assert_close(actors._memory, remembered(agent, frames, actions))
    assert not torch.equal(actors._memory, remembered(agent, frames, (actions + 1) % 3))
    assert not torch.equal(actors._memory, agent.blank(1))


def spaces_of(name):
    env = gymnasium.make(name)
    return env.observation_space, env.action_space


def test_refused(recordings, kwargs, monkeypatch):
    with pytest.raises(InputError, match="context 6, horizon 9 on 0 train episodes"):
        compare(recordings, kwargs, context=6)
    with pytest.raises(InputError, match="horizon 0"):
        compare(recordings, kwargs, horizon=0)
    monkeypatch.setattr(toy_room.ToyRoom, "_frame", lambda self: np.ones((32, 32, 3), np.uint8))
    with pytest.raises(InputError, match=r"another frame at step . of seed .* record the data"):
        compare(recordings, kwargs)
