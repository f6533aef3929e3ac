"""What `import worldmodel_env` does and costs."""

import json
import subprocess
import sys

import gymnasium
import pytest

import worldmodel_env

IMPORT = """
import time
began = time.process_time()
import worldmodel_env
cost = time.process_time() - began
import json, sys
heavy = ["torch", "h5py", "cv2", "vizdoom", "matplotlib", "minari", "simulators"]
print(json.dumps([cost, [m for m in heavy if m in sys.modules], worldmodel_env.__version__]))
"""


def test_import_is_quick_and_without_torch():
    costs = []
    for _ in range(3):  # the first may read the disk
        out = subprocess.run(
            [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
        )
        cost, heavy, version = json.loads(out.stdout)
        costs.append(cost)
        assert heavy == []
        assert version == worldmodel_env.__version__
    assert min(costs) < 0.3, f"CPU seconds: {costs}"


def test_import_registers_the_environment():
    spec = gymnasium.spec("TecoMaze-v0")
    assert spec.max_episode_steps == 300
    assert spec.kwargs["world"] == "maze"
    assert spec.vector_entry_point.endswith(":TecoVectorEnv")
    assert gymnasium.spec("TecoHabitat-v0").kwargs == {}


def test_world_is_exposed_and_nothing_else():
    from worldmodel_env.imagination.world import World

    assert worldmodel_env.World is World
    with pytest.raises(AttributeError, match="Wrld"):
        _ = worldmodel_env.Wrld
