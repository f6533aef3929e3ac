"""What image metrics do not see of a world: `python -m benchmarks.probes`.

Records test episodes of SimMaze-v0 anew (an episode is a function of its seed, so they are the same
everywhere) and asks the world, by 144 true frames and 156 imagined ones unless told otherwise:

- frames: PSNR and LPIPS by horizon;
- revisit: back at a pose, is there what was there before? Walks that go out and come back;
- action_following, theme, flatness, novelty: walks of an explorer;
- rare_events: do rewards and endings come as often? An explorer who does not know the goal.

`worldmodel_env/evaluation/probes` holds the definitions, docs/probes.md their reading. Each part is
written when it is done; run again for the same world, only what is missing is measured.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
import tyro

from benchmarks.report import processor
from simulators.maze.layout import CELL
from simulators.recorder import record
from worldmodel_env.data.writer import replace_file
from worldmodel_env.evaluation.predictor import WorldPredictor
from worldmodel_env.evaluation.probes.bench import Bench
from worldmodel_env.evaluation.probes.run import run_probes
from worldmodel_env.evaluation.replay import evaluate_world
from worldmodel_env.imagination.world import World, record_quality

FRAMES = "explore=0.75,sloppy=0.13,out-and-back=0.12"
"""Who walks for `frames`, as in `benchmarks/quality.py`."""
WALKS = "action_following,theme,flatness,novelty"
RECORDED: dict[str, tuple[str, int, dict[str, Any]]] = {
    "revisit": ("out-and-back", 0, {"task": "explore"}),
    WALKS: ("explore", 128, {"task": "explore"}),
    "rare_events": ("explore", 0, {"task": "goal"}),
}
"""Probes -> policy, validation episodes to fit classifiers on, arguments of the simulator."""
EPISODES = {"frames": 64, "revisit": 24, WALKS: 64, "rare_events": 64}
HORIZONS = (1, 5, 10, 25, 50, 100, 156)

Found = dict[str, dict[str, float | None]]


def main(
    world: str = "maze",
    context: int = 144,
    horizon: int = 156,
    share: float = 1.0,
    threads: int = 1,
    out: Path = Path("benchmarks/results/probes.json"),
    card: bool = False,
) -> None:
    """Measure what is missing.

    Args:
        world: a shipped world's name or a world's folder.
        context: true frames given.
        horizon: frames imagined.
        share: of the episodes, for a quick look.
        threads: CPU threads.
        out: the JSON file.
        card: also write the numbers into the world's card.
    """
    torch.set_num_threads(threads)
    loaded = World.load(world)
    about = {
        "world": loaded.name, "world_digest": loaded.digest, "context": context,
        "horizon": horizon, "share": share,
    }  # fmt: skip
    content: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    if content.get("about") != about:
        content = {"about": about, "machine": {"processor": processor()}, "results": {}}
    for part, episodes in EPISODES.items():
        if part in content["results"]:
            continue
        print(f"\n== {part}", flush=True)
        count = _share_of(episodes, share)
        if part == "frames":
            found = measure_frames(loaded, count, context, horizon)
        else:
            found = measure_probes(loaded, part, count, context, horizon, threads)
        content["results"][part] = found
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_file(out, (json.dumps(content, indent=1) + "\n").encode())
        print(json.dumps(found, indent=1), flush=True)
    if card:
        record_quality(world, card_numbers(content))


def measure_frames(world: World, episodes: int, context: int, horizon: int) -> Found:
    """PSNR and LPIPS of what is imagined and of the last frame copied, by horizon."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "set"
        record(
            "SimMaze-v0", data, episodes=0, test=episodes, policy=FRAMES,
            env_kwargs={"task": "explore"},
        )  # fmt: skip
        found = evaluate_world(
            world, data, Path(folder) / "report", context=context, horizon=horizon,
            episodes=episodes,
        )  # fmt: skip
    result: Found = {}
    for series in ("world", "copy_last"):
        for metric, curve in found.horizons.curves[series].items():
            for h in (h for h in HORIZONS if h <= horizon):
                value, low, high = (
                    float(line[h - 1]) for line in (curve.mean, curve.low, curve.high)
                )
                result[f"{metric} at {h}, {series}"] = {"value": value, "low": low, "high": high}
    return result


def measure_probes(
    world: World, probes: str, episodes: int, context: int, horizon: int, threads: int
) -> Found:
    """The numbers of some probes that take the same recordings."""
    policy, validation, kwargs = RECORDED[probes]
    predictor = WorldPredictor(world, "auto", threads=threads)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "set"
        record(
            "SimMaze-v0", data, episodes=0, validation=validation, test=episodes, policy=policy,
            env_kwargs=kwargs,
        )  # fmt: skip
        bench = Bench(predictor, data, "test", context, horizon, episodes, CELL, 0)
        sections = run_probes(bench, Path(folder) / "report", probes.split(","))
    return {
        name: {"value": number.value, "low": number.low, "high": number.high}
        for section in sections.values() for name, number in section.numbers.items()
    }  # fmt: skip


def card_numbers(content: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What a model card shows of the JSON file's content: frames by horizon, and the probes."""
    about, results = content["about"], content["results"]
    episodes = _share_of(EPISODES["frames"], about["share"])
    frames = {}
    for name, found in results["frames"].items():
        number, series = name.split(", ")
        metric, horizon = number.split(" ", 1)
        copied = ", last frame copied" if series == "copy_last" else ""
        frames[f"{metric.upper()} {horizon}{copied}"] = round(found["value"], 4)
    probes = {
        name: round(found["value"], 4)
        for part in RECORDED for name, found in results[part].items()
        if found["value"] is not None
    }  # fmt: skip
    context, horizon = about["context"], about["horizon"]
    key = f"{episodes} test episodes, {context} frames of context, {horizon} imagined"
    return {key: frames, "probes": probes}


def _share_of(episodes: int, share: float) -> int:
    return max(1, round(episodes * share))


if __name__ == "__main__":
    tyro.cli(main)
