"""What the tables of agents say, from made-up results."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import agent_tables
from benchmarks.turning import goalless, shows_goal
from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.video import write_video


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(agent_tables, "RESULTS", tmp_path)
    monkeypatch.setattr(agent_tables, "IMAGES", tmp_path)

    def write(name, content):
        (tmp_path / name).write_text(json.dumps(content))

    return write


def value(x):
    return {"value": x, "low": x - 0.1, "high": x + 0.1}


def test_without_results_all_say_so(results):
    for table in agent_tables.TABLES.values():
        assert "ot measured yet" in "\n".join(table())


def test_transfer(results):
    results("agents.json", {"transfer": {
        "settings": {"episodes": 7, "size": 5, "seeds": 2, "steps": 65536},
        "summary": {
            "random": {"success": value(0.5), "steps": None},
            "imagination": {"success": value(0.8), "steps": value(33.0)},
        },
        "shares": {"imagination": value(0.75)},
        "guards": {"imagination": {
            "calibration": {"Brier": 0.0123}, "imagined return": 0.9, "true return": 0.7,
            "imagined minus true return": value(0.2),
        }},
        "curves": {"imagination": [[
            {"simulator_frames": 10, "seconds": 60, "success": 0.1},
            {"simulator_frames": 10, "seconds": 90, "success": 0.6},
        ]]},
    }})  # fmt: skip
    text = "\n".join(agent_tables.transfer_table())
    assert "7 unseen mazes of size 5, after 2 trainings each, of 65,536 steps (" in text
    assert "| random | 50% (40% to 60%) | none |" in text
    assert "| imagination | 80% (70% to 90%) | 33 (33 to 33) |" in text
    assert "imagination reaches 0.75 (0.65 to 0.85)" in text
    guards = "\n".join(agent_tables.guard_table())
    assert "| Brier | 0.0123 |" in guards
    assert "| imagined minus true return | 0.20 (0.10 to 0.30) |" in guards
    agent_tables.draw_curves()
    assert (agent_tables.IMAGES / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_branches_planning_and_throughput(results):
    plan = {"success": value(0.6), "episodes": 5, "seconds per step": 2.345}
    branches = [
        {"context": 0, "horizon": 0, "success": value(0.5)},
        {"context": 32, "horizon": 8, "success": value(0.9)},
    ]
    results("agents.json", {
        "machine": {"processor": "slow", "threads": 2}, "branches": branches,
        "throughput": {"training, steps/s": 154.3}, "planner": {"no critic": plan},
    })  # fmt: skip
    text = "\n".join(agent_tables.branch_table())
    assert "| first frame | all | 50% (40% to 60%) |" in text
    assert "| 32 | 8 | 90% (80% to 100%) |" in text
    text = "\n".join(agent_tables.speed_table())
    assert "| 64 worlds, training, steps/s | 154 |" in text
    assert "| planning, no critic: success in 5 mazes | 60% (50% to 70%) |" in text
    assert "| planning, no critic: s a step | 2.3 |" in text


def test_moments(results):
    places = {"simulator": {"success": value(0.9), "steps": 26.8}}
    places["world"] = {"success": value(0.5), "steps": 0}
    results("agents.json", {"moments": {
        "settings": {"moments": 7, "context": 8, "branch": 96}, "reached": {"random": places},
    }})  # fmt: skip
    text = "\n".join(agent_tables.moment_table())
    assert "| random | 90% (80% to 100%), 27 | 50% (40% to 60%), 0 |" in text
    assert "7 moments, 8 frames shown, at most 96 steps" in text


def test_turning(results):
    found = {"moments": 9.0}
    found |= {f"{who}: a goal seen within {k} turns": k / 100 + (who == "world") / 2
              for who in ("simulator", "world") for k in (4, 8)}  # fmt: skip
    results("turning.json", {"results": found})
    text = "\n".join(agent_tables.turning_table())
    assert "| turns | 4 | 8 |" in text
    assert "| simulator | 4% | 8% |" in text
    assert "| world | 54% | 58% |" in text
    assert "9 moments" in text


def test_walls(results):
    found = {}
    for policy, moves in (("sloppy", 0.123), ("snag", 0.5)):
        counts = {"stopped": 1357.0, "slid": 9.0, "whole": 0.0}
        found |= {f"{policy}, {kind} steps": count for kind, count in counts.items()}
        found[f"{policy}, stopped steps: the world moves"] = moves
        found[f"{policy}, slid steps: the world moves"] = 1.0
    results("walls.json", {"results": found})
    text = "\n".join(agent_tables.walls_table())
    assert "| by `sloppy` | the world moves | by `snag` | the world moves |" in text
    assert "| stopped | 1,357 | 12.3% | 1,357 | 50.0% |" in text
    assert "| whole | 0 |  | 0 |  |" in text


def test_films_are_a_row_each(results, tmp_path):
    with pytest.raises(InputError, match=r"holds no test-\*\.mp4"):
        agent_tables.main(tmp_path)
    for i, length in enumerate((5, 20)):
        write_video(tmp_path / f"test-{i}.mp4", np.full((length, 64, 64, 3), 90, np.uint8))
    agent_tables.main(tmp_path)
    with Image.open(tmp_path / "films.png") as picture:
        assert picture.size == (agent_tables.SHOWN * agent_tables.SIDE, 2 * agent_tables.SIDE)


def test_foresight(results):
    worlds = {"maze": {"horizons": [1, 8], "ended": [0.7, 0.1], "too_soon": [0.0, 0.2]}}
    results("agents.json", {"world": worlds})
    text = "\n".join(agent_tables.foresight_table())
    assert "| steps before the end | 1 | 8 |" in text
    assert "| `maze` ends in time | 70% | 10% |" in text
    assert "| `maze` ends too soon | 0% | 20% |" in text


def test_moments_show_no_goal_and_are_reached_again(tmp_path):
    """The ball is seen where it is, and nowhere else; the moments to turn at come before it."""
    record("SimMaze-v0", tmp_path, episodes=0, test=4, policy="goal",
           env_kwargs={"size": 5, "task": "goal"})  # fmt: skip
    data = TrajectoryDataset.open(tmp_path)
    for ref in data.episodes("test"):
        assert shows_goal(data.read(ref).observations[-2:]).all(), "it has just walked into it"
    assert not shows_goal(np.full((2, 64, 64, 3), 128, np.uint8)).any()
    for moment in goalless(data, 2):
        assert not shows_goal(moment.frames).any()
        episode = next(data.read(r) for r in data.episodes("test") if r.seed == moment.seed)
        end = len(moment.actions) + 1
        np.testing.assert_array_equal(moment.frames, episode.observations[end - 2 : end])
