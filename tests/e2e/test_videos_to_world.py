"""Videos without actions become a world that runs by itself."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from worldmodel_env import cli


def test_import_train_imagine(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(4):
        with av.open(str(folder / f"{number}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=20)
            stream.height = stream.width = 64
            for step in range(40):
                frame = np.full((64, 64, 3), 40 * number, np.uint8)
                frame[20:40, step : step + 20] = 255
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    data, run = str(tmp_path / "set"), str(tmp_path / "run")
    cli.main(["data", "import", str(folder), data, "--format", "video-folder", "--resolution", "32",
              "--rate", "10", "--length", "12", "--validation", "0.25", "--test", "0"])  # fmt: skip
    for stage in ("vqgan", "teco"):
        cli.main(["train", stage, "--data", data, "--out", run, "--preset", "nano", "--steps", "3",
                  "--threads", "1"])  # fmt: skip
    env = gymnasium.make("worldmodel_env:TecoMaze-v0", world=f"{run}/world")
    env.reset(seed=0)
    assert env.action_space == gymnasium.spaces.Discrete(1)
    frame, *_ = env.step(0)
    assert (frame.shape, frame.dtype) == ((32, 32, 3), np.uint8)
    env.close()
