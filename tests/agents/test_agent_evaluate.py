"""Evaluation: each seed once, alike however many play at a time; baselines; guards; planning."""

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
import toy_room  # noqa: F401  registers the environments
from nano import make_nano

import worldmodel_env  # noqa: F401
from agents.baselines import Rows, Uniform, Walking
from agents.collect import collect
from agents.evaluate import Scores, evaluate
from agents.foresight import foresight
from agents.guards import Calibration, calibrate, calibration_error, return_gap
from agents.network import Agent, AgentConfig
from agents.planner import Planner
from agents.policy import Actors, AgentPolicy
from agents.report import table, write_report
from simulators import explorers
from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.training.checkpoint import save_checkpoint


def agent_for(env, memory="gru") -> Agent:
    torch.manual_seed(3)
    config = AgentConfig.of(
        env.observation_space, env.action_space, memory=memory, hidden=16, width=4
    )
    agent = Agent(config)
    torch.nn.init.normal_(agent.actor.weight)  # so that it prefers something
    return agent.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_nano().save(tmp_path_factory.mktemp("worlds") / "nano")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Six short episodes of toy rooms, whose frames and actions are those of the nano world."""
    folder = tmp_path_factory.mktemp("data") / "set"
    (folder / "data" / "episodes").mkdir(parents=True)
    assert collect(Uniform(), "random", "ToyRoom-v0", folder, episodes=6, first=7, kwargs={}) == 36
    return folder


def test_seeds_are_played_once_and_alike_at_any_width(tmp_path):
    env = gymnasium.make("ToyRoom-v0")
    agent = agent_for(env)
    one, three = (
        evaluate(
            "ToyRoom-v0", Actors.of(agent), [5, 6, 7, 8, 9, 10, 11], kwargs={}, num_envs=n,
            films={2: tmp_path / f"{n}.mp4"},
        )
        for n in (1, 3)
    )  # fmt: skip
    assert one.seeds.tolist() == [5, 6, 7, 8, 9, 10, 11]
    assert np.array_equal(one.returns, three.returns)
    assert len(set(one.returns)) > 1
    assert (one.steps == 5).all()
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "3.mp4").read_bytes()
    again = Scores.from_json(json.loads(json.dumps(one.to_json())))
    assert np.array_equal(again.success, one.success)
    assert again.success.dtype == np.bool_


def test_imagined_episodes_are_evaluated_too(world):
    env = gymnasium.make("TecoMaze-v0", world=world)
    found = evaluate(
        "TecoMaze-v0", Actors.of(agent_for(env)), range(7),
        kwargs={"world": world, "max_episode_steps": 6}, num_envs=3, device="cpu",
    )  # fmt: skip
    assert len(found.returns) == 7
    assert (found.steps <= 6).all()


def test_success_needs_an_end_and_a_return():
    limited = evaluate(
        "ToyRoomLimited-v0", Rows.of(Uniform), range(4), kwargs={"endless": True}, num_envs=2
    )
    assert not limited.success.any()
    assert (limited.steps == 7).all()
    with pytest.raises(InputError, match="1 or more"):
        evaluate("ToyRoom-v0", Rows.of(Uniform), [], kwargs={})
    with pytest.raises(InputError, match="walker turns and steps"):
        evaluate("ToyRoom-v0", Rows.of(Walking), [1], kwargs={"kind": "box"})


def test_report(tmp_path):
    good = Scores(np.arange(4), np.ones(4, bool), np.ones(4), np.arange(4) + 10, 1.0)
    bad = Scores(np.arange(4), np.zeros(4, bool), np.zeros(4), np.full(4, 300), 1.0)
    text = table({"good": [good, good], "bad": [bad]})
    assert "1 [1, 1]" in text.splitlines()[1]
    assert text.splitlines()[2].endswith("none")
    write_report(tmp_path / "report.json", {"good": [good], "bad": [bad]}, note="x")
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["summary"]["good"]["steps"]["value"] == 11.5
    assert content["summary"]["bad"]["steps"] is None
    assert len(content["episodes"]["good"][0]["returns"]) == 4


def test_a_trained_agent_is_a_recorders_policy(tmp_path):
    env = gymnasium.make("ToyRoom-v0")
    agent = agent_for(env)
    save_checkpoint(tmp_path, {"model": agent}, config=agent.config, counters={"step": 1})
    policy = AgentPolicy(tmp_path)
    walks = []
    for _ in range(2):
        obs, info = env.reset(seed=4)
        policy.reset(env, 4)
        walk = []
        for _ in range(5):
            walk.append(policy.act(env, obs, info))
            assert env.action_space.contains(walk[-1])
            obs, *_, info = env.step(walk[-1])
        walks.append(walk)
    assert walks[0] == walks[1]
    recorded = tmp_path / "recorded"
    record(
        "ToyRoom-v0", recorded, episodes=2, policy=f"agent:{tmp_path}", max_steps=20, progress=False
    )
    dataset = TrajectoryDataset.open(recorded)
    assert [ref.row.policy for ref in dataset.episodes()] == [f"agent:{tmp_path}"] * 2
    obs, info = env.reset(seed=0)
    policy.reset(env, 0)
    assert policy.act(env, obs, info) == dataset.read(dataset.episodes()[0]).actions[0]
    with pytest.raises(InputError, match="holds no agent"):
        explorers.make(f"agent:{tmp_path / 'nothing'}")
    (tmp_path / "checkpoint.safetensors").write_bytes(b"{")
    with pytest.raises(InputError, match="damaged"):
        AgentPolicy(tmp_path)


def test_collected_episodes_are_a_data_set(data):
    dataset = TrajectoryDataset.open(data)
    refs = dataset.episodes("train")
    assert [ref.seed for ref in refs] == list(range(7, 13))
    episode = dataset.read(refs[0])
    assert episode.attributes["policy"] == "random"
    env = gymnasium.make("ToyRoom-v0")
    obs, _ = env.reset(seed=7)
    assert np.array_equal(episode.observations[0], obs)
    stamp = refs[0].path.stat().st_mtime_ns
    collect(Uniform(), "random", "ToyRoom-v0", data, episodes=6, first=7, kwargs={})
    assert refs[0].path.stat().st_mtime_ns == stamp, "what is there is kept"


def test_calibration_of_a_world_that_knows_and_of_one_that_guesses():
    rng = np.random.default_rng(0)
    p = rng.random(4000).astype(np.float32)
    came = rng.random(4000) < p
    assert calibration_error(p, came.astype(float)) < 0.03
    assert calibration_error(1 - p, came.astype(float)) > 0.4
    found = Calibration(p, p, p, came.astype(np.float32), came).summary()
    assert found["termination: Brier score"] < found["termination: Brier score of the mean"]
    assert found["predicted endings"] == pytest.approx(found["true endings"], rel=0.05)


def test_calibrate_and_gap(world):
    from worldmodel_env.imagination.world import World

    env = gymnasium.make("ToyRoom-v0")
    agent = agent_for(env)
    found = calibrate(agent, World.load(world), "ToyRoom-v0", range(5), kwargs={}, num_envs=2)
    assert len(found.reward) == 25, "five steps of five episodes, none twice"
    assert found.true_termination.sum() == 5
    gap, dreamt, real = return_gap(
        agent, "TecoMaze-v0", "ToyRoom-v0", episodes=3, seeds=range(3),
        imagined_kwargs={"world": world, "max_episode_steps": 5}, kwargs={}, device="cpu",
    )  # fmt: skip
    assert gap.value == pytest.approx(dreamt.returns.mean() - real.returns.mean())
    with pytest.raises(InputError, match="take the simulator that it imitates"):
        calibrate(agent, World.load(world), "ToyRoom-v0", [1], kwargs={"kind": "box"})


class OnlyOne:
    """A stand-in for a world's forks in which action 1 pays, until the third step."""

    def __init__(self, rows):
        self.rows, self.time = rows, 0

    def step(self, actions):
        self.time += 1
        reward = (np.asarray(actions) == 1) * (self.time <= 3)
        frames = np.zeros((self.rows, 32, 32, 3), np.uint8)
        return frames, reward, np.zeros(self.rows, bool), None, {}


def test_planner_finds_what_pays(world, monkeypatch):
    planner = Planner(kwargs={"world": world}, horizon=4, branches=32)
    env = gymnasium.make("TecoMaze-v0", world=world)
    obs, info = env.reset(seed=0)
    planner.reset(env, 0)
    inner = type(planner._env)
    monkeypatch.setattr(inner, "fork", lambda self, n, fresh_noise: OnlyOne(n))
    assert planner.act(env, obs, info) == 1
    assert (planner._chances[:2].argmax(-1) == 1).all(), "the rest of the plan is kept"


def test_planner_acts_with_and_without_a_critic(world):
    env = gymnasium.make("TecoMaze-v0", world=world, max_episode_steps=4)
    for agent in (None, agent_for(env), agent_for(env, memory="none")):
        planner = Planner(kwargs={"world": world}, horizon=3, branches=4, agent=agent)
        walks = []
        for _ in range(2):
            obs, info = env.reset(seed=0)
            planner.reset(env, 0)
            walk, ended = [], False
            while not ended:
                walk.append(planner.act(env, obs, info))
                obs, _, terminated, truncated, info = env.step(walk[-1])
                ended = terminated or truncated
            walks.append(walk)
        assert walks[0] == walks[1], "the same episode and seed, the same plan"


def test_planner_refuses(world):
    with pytest.raises(InputError, match="horizon is 0"):
        Planner(kwargs={"world": world}, horizon=0)
    with pytest.raises(InputError, match="elite is 2"):
        Planner(kwargs={"world": world}, elite=2)
    planner = Planner(kwargs={"world": world})
    with pytest.raises(InputError, match="world of the same simulator"):
        planner.reset(gymnasium.make("ToyRoom-v0", kind="box"), 0)


def test_foresight_asks_before_the_end(world, data):
    from worldmodel_env.imagination.world import World

    loaded, recorded = World.load(world), TrajectoryDataset.open(data)
    settings = {"split": "train", "context": 2, "horizons": (1, 3), "device": "cpu"}
    found = foresight(loaded, recorded, **settings)
    assert found.horizons == (1, 3)
    assert found.true_return[1] >= found.true_return[0]
    assert found.too_soon[0] == 0
    assert found.ended[1] >= found.too_soon[1]
    with pytest.raises(InputError, match="no train episode that terminated after 9 steps"):
        foresight(loaded, recorded, **{**settings, "context": 6})
