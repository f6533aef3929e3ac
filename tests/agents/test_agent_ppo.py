"""PPO learns, remembers, goes on exactly where it stopped, and refuses what does not fit."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import toy_room  # noqa: F401  registers the environments
from nano import make_nano
from safetensors.torch import load_file

from agents import ppo
from agents.envs import Envs
from agents.evaluate import evaluate
from agents.network import Agent, load_agent
from agents.policy import Actors
from agents.ppo import Args, train
from worldmodel_env.errors import InputError

SMALL = {"num_envs": 8, "rollout": 20, "hidden": 32, "width": 4, "minibatches": 2}


def toy(out, **changes) -> Args:
    settings = {
        "env": "ToyRoom-v0", "steps": 160 * 12, "learning_rate": 1e-2, "gamma": 0.9,
        "memory": "none", "checkpoint_every": 4, **SMALL,
    }  # fmt: skip
    return Args(out, **{**settings, **changes})


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def success_rate(folder, **kwargs):
    actors = Actors.of(load_agent(folder))
    scores = evaluate("ToyRoom-v0", actors, range(30), kwargs=kwargs, num_envs=6, device="cpu")
    return scores.returns.mean()


@pytest.mark.parametrize("kind", ["discrete", "multi", "box"])
def test_learns_any_action_space(kind, tmp_path):
    changes = {"steps": 160 * 50} if kind == "box" else {"steps": 160 * 20}
    train(toy(tmp_path / "run", env_kwargs=(f"kind={kind}",), **changes))
    assert success_rate(tmp_path / "run", kind=kind) > 0.7, "chance is 1/3"


def test_remembers_what_only_the_first_frame_showed(tmp_path):
    for memory, least, most in (("gru", 0.7, 1.01), ("none", 0.0, 0.6)):
        folder = tmp_path / memory
        changes = {"memory": memory, "env_kwargs": ("memory=true",), "steps": 160 * 25}
        train(toy(folder, **changes))
        assert least < success_rate(folder, memory=True) < most


def test_resumes_to_the_bit(tmp_path, monkeypatch):
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    looks = {"evaluate_env": "ToyRoom-v0", "evaluate_episodes": 2, "evaluate_every": 5}
    args = toy(whole, memory="gru", **looks)
    train(args)

    looked = ppo._look
    calls = []

    def crash(*given):
        calls.append(given)
        if len(calls) == 2:  # at update 10, two after the last checkpoint
            raise ZeroDivisionError
        return looked(*given)

    monkeypatch.setattr(ppo, "_look", crash)
    with pytest.raises(ZeroDivisionError):
        train(replace(args, out=parted))
    monkeypatch.setattr(ppo, "_look", looked)
    train(replace(args, out=parted))

    one, other = (load_file(folder / "checkpoint.safetensors") for folder in (whole, parted))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    kept = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in lines(folder)]
        for folder in (whole, parted)
    ]
    # What had been finished before a checkpoint is not counted again.
    assert [line["loss"] for line in kept[0]] == [line["loss"] for line in kept[1]]
    assert kept[0] == kept[1]
    assert (parted / "episode-800.mp4").exists()


def test_a_finished_training_is_left_alone(tmp_path):
    train(toy(tmp_path, steps=160))
    before = (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns
    assert train(toy(tmp_path, steps=160)) == tmp_path
    assert (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns == before


def test_a_finished_training_goes_on_if_given_more_steps(tmp_path):
    """Also from between two checkpoints."""
    train(toy(tmp_path, steps=160, checkpoint_every=3))
    train(toy(tmp_path, steps=320, checkpoint_every=3))
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [160, 320]


def test_trains_in_imagination_with_whole_and_with_cut_episodes(tmp_path):
    world = make_nano().save(tmp_path / "world")
    args = Args(
        tmp_path / "run", env_kwargs=(f"world={world}", "max_episode_steps=10"), steps=160,
        surprise=0.1, device="cpu", **SMALL,
    )  # fmt: skip
    train(args)
    (line,) = lines(tmp_path / "run")
    assert line["surprise"] > 0
    assert line["length"] <= 10


def test_unroll_repeats_what_was_acted(tmp_path):
    """The first pass over the data finds the probabilities of before: ratios are 1."""
    torch.manual_seed(0)
    args = toy(tmp_path, memory="gru", env_kwargs=("memory=true",), epochs=1, minibatches=1)
    seen = []
    unroll = Agent.unroll

    def spy(self, frames, memories, actions, began):
        policy, values = unroll(self, frames, memories, actions, began)
        if not seen:
            with torch.no_grad():
                flat = [self(f, m)[0] for f, m in zip(frames, memories, strict=True)]
                own = torch.stack([p.log_prob(a) for p, a in zip(flat, actions, strict=True)])
            seen.append((policy.log_prob(actions.flatten(0, 1)) - own.flatten()).abs().max())
        return policy, values

    Agent.unroll = spy
    try:
        train(replace(args, steps=160))
    finally:
        Agent.unroll = unroll
    assert seen[0] < 1e-5


def test_time_limits_are_no_ends(tmp_path):
    """With a limit of 7 steps and endless rooms the value is that of going on for ever."""
    args = toy(
        tmp_path, env="ToyRoomLimited-v0", env_kwargs=("endless=true",), gamma=0.9, steps=160 * 40,
    )  # fmt: skip
    train(args)
    value = lines(tmp_path)[-1]["value_mean"]
    # 0.2 a step, discounted: 2 for ever, 1.04 within 7 steps, about 0.65 on average in them.
    assert value > 1.2


def test_refuses_what_does_not_fit(tmp_path):
    run = train(toy(tmp_path / "run", steps=160))
    refusals = {
        r"memory='none'.*memory='gru'": toy(tmp_path / "b", begin_with=run, memory="gru"),
        r"actions": toy(tmp_path / "c", begin_with=run, env_kwargs=("kind=box",)),
        r"holds no agent": toy(tmp_path / "d", begin_with=tmp_path / "nothing"),
        r"learning_rate is 0.01, now 0.1": toy(tmp_path / "run", steps=160, learning_rate=0.1),
        r"config|hidden is 32, now 16": toy(tmp_path / "run", steps=160, hidden=16),
        r"do not part into 3": toy(tmp_path / "e", minibatches=3),
        r"is unknown": toy(tmp_path / "f", env="NoSuch-v0"),
        r"NAME=VALUE": toy(tmp_path / "g", env_kwargs=("kind",)),
        r"check its arguments": toy(tmp_path / "h", env_kwargs=("colour=3",)),
        r"--branch-data": toy(tmp_path / "i", branch=4),
        r"rollout is 0": toy(tmp_path / "j", rollout=0),
    }
    for message, args in refusals.items():
        with pytest.raises(InputError, match=message) as refusal:
            train(args)
        assert "\n" not in str(refusal.value)


def test_a_loss_that_is_no_number_keeps_the_checkpoint(tmp_path, monkeypatch):
    args = toy(tmp_path, steps=160 * 8)
    unroll, calls = Agent.unroll, []

    def broken(self, *given):
        calls.append(1)
        policy, values = unroll(self, *given)
        return policy, values * (math.nan if len(calls) > 30 else 1)

    monkeypatch.setattr(Agent, "unroll", broken)
    with pytest.raises(InputError, match=r"loss is nan at update 5.*lower --learning-rate"):
        train(args)
    assert all(torch.isfinite(p).all() for p in load_agent(tmp_path).parameters())


def test_an_environment_that_never_ends_is_named(monkeypatch):
    monkeypatch.setattr("agents.envs.ENDLESS", 30)
    envs = Envs("ToyRoom-v0", 2, {"endless": True})
    envs.reset(0)
    for _ in range(30):
        envs.step(np.zeros(2, np.int64))
    with pytest.raises(InputError, match=r"ToyRoom-v0 has not ended .* max_episode_steps=300"):
        envs.step(np.zeros(2, np.int64))


def test_an_agent_refuses_other_spaces(tmp_path):
    train(toy(tmp_path, steps=160))
    with pytest.raises(InputError, match="made for actions"):
        success_rate(tmp_path, kind="box")
