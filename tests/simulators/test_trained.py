import io
import pickle
import zipfile

import gymnasium
import numpy as np
import pytest
import toy_env

from simulators import explorers
from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError

sb3 = pytest.importorskip("stable_baselines3")
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack  # noqa: E402

SIZE = 40
"""The smallest that Stable-Baselines3's network takes is 36."""


def vector(stack: int, **kwargs):
    made = DummyVecEnv([lambda: gymnasium.make(toy_env.ID, image_size=SIZE, **kwargs)])
    return VecFrameStack(made, stack) if stack > 1 else made


@pytest.fixture(
    scope="module",
    params=[("PPO", "CnnPolicy", 1), ("A2C", "CnnPolicy", 4), ("DQN", "CnnPolicy", 2),
            ("PPO", "MlpPolicy", 1)],
    ids=lambda param: "-".join(map(str, param)),
)  # fmt: skip
def model(request, tmp_path_factory):
    algorithm, policy, stack = request.param
    small = {"buffer_size": 10} if algorithm == "DQN" else {}
    made = getattr(sb3, algorithm)(policy, vector(stack), seed=0, device="cpu", **small)
    path = tmp_path_factory.mktemp("model") / "model.zip"
    made.save(path)
    return made, path, stack


def test_it_acts_as_the_model_does(model):
    """By the model's own probabilities (or values) of the same frames, stacked by SB3 itself."""
    made, path, stack = model
    import torch

    env = gymnasium.make(toy_env.ID, image_size=SIZE)
    policy = explorers.make(f"sb3:{path}")
    frames, info = [env.reset(seed=3)[0]], {}
    policy.reset(env, 3)
    for _ in range(6):
        action = policy.act(env, frames[-1], info)
        padded = [np.zeros_like(frames[0])] * (stack - 1) + frames
        seen = np.concatenate(padded[-stack:], axis=-1)
        np.testing.assert_array_equal(policy._seen, seen)
        tensor, _ = made.policy.obs_to_tensor(np.moveaxis(seen, -1, 0)[None])
        ours = torch.from_numpy(np.moveaxis(policy._seen, -1, 0)[None].copy())
        with torch.no_grad():
            if hasattr(made.policy, "q_net"):
                expected, got = made.policy.q_net(tensor), policy._network.q_net(ours)
            else:
                expected = made.policy.get_distribution(tensor).distribution.probs
                got = policy._network.get_distribution(ours).distribution.probs
        assert torch.equal(expected, got)
        frames.append(env.step(action)[0])


def test_it_is_recorded_by_its_file(model, tmp_path):
    _, path, _ = model
    for name in ("a", "b"):
        record(toy_env.ID, tmp_path / name, episodes=2, policy=f"sb3:{path}", progress=False,
               env_kwargs={"image_size": SIZE})  # fmt: skip
    first, again = (TrajectoryDataset.open(tmp_path / name) for name in ("a", "b"))
    assert first.data_hash() == again.data_hash()
    assert first.episodes()[0].row.policy == f"sb3:{path}"


def test_other_spaces_are_refused(model):
    _, path, _ = model
    policy = explorers.make(f"sb3:{path}")
    with pytest.raises(InputError, match="does not fit"):
        policy.reset(gymnasium.make(toy_env.ID, image_size=SIZE, action="box"), 0)
    with pytest.raises(InputError, match="does not fit"):
        policy.reset(gymnasium.make(toy_env.ID, image_size=90), 0)


def test_continuous_actions_stay_in_their_bounds(tmp_path):
    made = sb3.PPO("CnnPolicy", vector(1, action="box"), seed=0, device="cpu")
    made.save(tmp_path / "model.zip")
    env = gymnasium.make(toy_env.ID, image_size=SIZE, action="box")
    policy = explorers.make(f"sb3:{tmp_path / 'model.zip'}")
    frame, info = env.reset(seed=0)
    policy.reset(env, 0)
    for _ in range(10):
        assert env.action_space.contains(policy.act(env, frame, info))


class Evil:
    def __reduce__(self):
        return (open, ("stolen", "w"))


def test_nothing_pickled_is_run(model, tmp_path, monkeypatch):
    """Neither what stands beside the weights nor what stands in their place."""
    monkeypatch.chdir(tmp_path)
    _, path, _ = model
    harmless = tmp_path / "harmless.zip"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(harmless, "w") as new:
        new.writestr("policy.pth", old.read("policy.pth"))
        new.writestr("data", pickle.dumps(Evil()))
    explorers.make(f"sb3:{harmless}")
    for number, content in enumerate((pickle.dumps(Evil()), _torch_pickle())):
        bad = tmp_path / f"bad{number}.zip"
        with zipfile.ZipFile(bad, "w") as new:
            new.writestr("policy.pth", content)
        with pytest.raises(InputError, match="read safely"):
            explorers.make(f"sb3:{bad}")
    assert not (tmp_path / "stolen").exists()


def _torch_pickle() -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save({"features_extractor.cnn.0.weight": Evil()}, buffer)
    return buffer.getvalue()


def test_what_is_no_model_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no policy file .*nowhere\.zip"):
        explorers.make("sb3:nowhere.zip")
    (tmp_path / "text.zip").write_text("not a zip")
    with pytest.raises(InputError, match="read safely"):
        explorers.make(f"sb3:{tmp_path / 'text.zip'}")
