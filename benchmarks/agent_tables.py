"""Tables and pictures of docs/agents.md, and README's of transfer, from what `agents` wrote.

Pictures: `python -m benchmarks.agent_tables`; the tables are written by `benchmarks.tables`.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.report import write_picture
from worldmodel_env.data.importers.video import read_video
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.figure import FAINT, new_figure, save_png

RESULTS = Path("benchmarks/results")
IMAGES = Path("docs/images/agents")
COLOURS = {"simulator": "#1f2430", "imagination": "#d1742f", "refreshed": "#2a9d8f"}
NOT_YET = ["Not measured yet."]
SIDE, SHOWN = 96, 12
"""Of films: pixels of a frame, and how many are shown."""


def content() -> dict[str, Any]:
    """What was measured, by part."""
    path = RESULTS / "agents.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def interval(estimate: dict[str, float] | None, digits: str) -> str:
    """A value with its interval."""
    if estimate is None:
        return "none"
    value, low, high = (format(estimate[key], digits) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def transfer_table(how: str = " ([how](docs/agents.md))") -> list[str]:
    """Agents judged in the simulator, by where they learned."""
    if (found := content().get("transfer")) is None:
        return [f"Agents trained in imagination, judged in the simulator{how}: not measured yet."]
    about = found["settings"]
    lines = [
        f"Agents in {about['episodes']} unseen mazes of size {about['size']}, after "
        f"{about['seeds']} trainings each, of {about['steps']:,} steps{how}; in brackets 95 % "
        "intervals:",
        "",
        "| learned in | success | steps to the goal |",
        "|---|---:|---:|",
    ]
    for name, scores in found["summary"].items():
        steps = interval(scores["steps"], ".0f")
        lines.append(f"| {name} | {interval(scores['success'], '.0%')} | {steps} |")
    for name, share in found["shares"].items():
        lines += [
            "",
            f"Of the simulator's gain over random, {name} reaches {interval(share, '.2f')}.",
        ]
    return lines


def branch_table() -> list[str]:
    """Success by where imagined roll-outs begin and how long they are."""
    if not (found := content().get("branches")):
        return NOT_YET
    lines = ["| recorded frames C | imagined steps H | success |", "|---:|---:|---:|"]
    for row in found:
        cells = f"{row['context']} | {row['horizon']}" if row["horizon"] else "first frame | all"
        lines.append(f"| {cells} | {interval(row['success'], '.0%')} |")
    return lines


def foresight_table() -> list[str]:
    """What worlds say of an ending h steps before it comes."""
    if not (found := content().get("world")):
        return NOT_YET
    horizons = next(iter(found.values()))["horizons"]
    lines = [
        "| steps before the end | " + " | ".join(map(str, horizons)) + " |",
        "|---|" + "---:|" * len(horizons),
    ]
    for name, world in found.items():
        for key, what in (("ended", "ends in time"), ("too_soon", "ends too soon")):
            cells = " | ".join(f"{value:.0%}" for value in world[key])
            lines.append(f"| `{name}` {what} | {cells} |")
    return lines


def turning_table() -> list[str]:
    """Goals that come into view while turning on the spot."""
    path = RESULTS / "turning.json"
    if not path.exists():
        return NOT_YET
    found = json.loads(path.read_text())["results"]
    turns = [key.split()[-2] for key in found if key.startswith("simulator")]
    lines = ["| turns | " + " | ".join(turns) + " |", "|---|" + "---:|" * len(turns)]
    for name in ("simulator", "world"):
        cells = (f"{found[f'{name}: a goal seen within {k} turns']:.0%}" for k in turns)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, "", f"{found['moments']:.0f} moments, of as many test episodes."]


def walls_table() -> list[str]:
    """Whether walls stop people in the world."""
    path = RESULTS / "walls.json"
    if not path.exists():
        return NOT_YET
    found = json.loads(path.read_text())["results"]
    names = {"stopped": "stopped", "slid": "slid, or came short", "whole": "whole"}
    policies = dict.fromkeys(key.split(", ")[0] for key in found)
    lines = [
        "| a step ahead, in the simulator | "
        + " | ".join(f"by `{policy}` | the world moves" for policy in policies) + " |",
        "|---|" + "---:|---:|" * len(policies),
    ]  # fmt: skip
    for kind, name in names.items():
        cells = []
        for policy in policies:
            share = found.get(f"{policy}, {kind} steps: the world moves")
            told = "" if share is None else f"{share:.1%}"
            cells.append(f"{found[f'{policy}, {kind} steps']:,.0f} | {told}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def moment_table() -> list[str]:
    """What policies reach from the same moments in the simulator and in the world."""
    if not (found := content().get("moments")):
        return NOT_YET
    lines = ["| reaches the goal, after so many steps | simulator | world |", "|---|---:|---:|"]
    for name, places in found["reached"].items():
        cells = (
            f"{interval(places[place]['success'], '.0%')}, {places[place]['steps']:.0f}"
            for place in ("simulator", "world")
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    about = found["settings"]
    told = "{moments} moments, {context} frames shown, at most {branch} steps from there."
    return [*lines, "", told.format(**about)]


def guard_table() -> list[str]:
    """Calibration and gap of the first agent of each imagined arm."""
    found = content().get("transfer", {}).get("guards")
    if not found:
        return NOT_YET
    lines = ["| | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
    first = next(iter(found.values()))
    for name in first["calibration"]:
        cells = " | ".join(f"{guards['calibration'][name]:.3g}" for guards in found.values())
        lines.append(f"| {name} | {cells} |")
    for name in ("imagined return", "true return"):
        cells = " | ".join(f"{guards[name]:.2f}" for guards in found.values())
        lines.append(f"| {name} | {cells} |")
    name = "imagined minus true return"
    cells = " | ".join(interval(guards[name], ".2f") for guards in found.values())
    return [*lines, f"| {name} | {cells} |"]


def speed_table() -> list[str]:
    """Throughput with 64 worlds, and planning."""
    found = content()
    lines = ["| | |", "|---|---:|"]
    for name, value in found.get("throughput", {}).items():
        lines.append(f"| 64 worlds, {name} | {value:.{0 if value >= 10 else 2}f} |")
    for name, plan in found.get("planner", {}).items():
        success = interval(plan["success"], ".0%")
        lines.append(f"| planning, {name}: success in {plan['episodes']} mazes | {success} |")
        lines.append(f"| planning, {name}: s a step | {plan['seconds per step']:.2g} |")
    if len(lines) == 2:
        return NOT_YET
    machine = found["machine"]
    return [*lines, "", f"{machine['threads']} threads; processor: {machine['processor']}."]


TABLES: dict[str, Callable[[], list[str]]] = {
    "transfer": partial(transfer_table, how=""),
    "branches": branch_table,
    "foresight": foresight_table,
    "turning": turning_table,
    "walls": walls_table,
    "moments": moment_table,
    "guards": guard_table,
    "speed": speed_table,
}


def main(films: Path = Path("runs/agents/transfer/imagination/seed-0")) -> None:
    """Draw the curves, once there are any, and what an agent saw in three unseen mazes.

    Args:
        films: folder of an agent whose test episodes were filmed.
    """
    IMAGES.mkdir(parents=True, exist_ok=True)
    if "transfer" in content():
        draw_curves()
    found = sorted(films.glob("test-*.mp4"))
    if not found:
        raise InputError(f"{films} holds no test-*.mp4; give the folder of an agent of a transfer.")
    draw_films(found)


def draw_curves() -> None:
    """Success on validation mazes against simulator frames and against time, of all trainings."""
    curves = content()["transfer"]["curves"]
    figure = new_figure(9.0, 3.4)
    axes = figure.subplots(1, 2)
    for arm, runs in curves.items():
        for number, run in enumerate(runs):
            for axis, key, unit in ((axes[0], "simulator_frames", 1e3), (axes[1], "seconds", 60)):
                axis.plot(
                    [point[key] / unit for point in run], [point["success"] for point in run],
                    "o-", color=COLOURS[arm], label=arm if not number else None, markersize=4,
                )  # fmt: skip
    for axis, label in zip(axes, ("simulator frames, thousands", "minutes"), strict=True):
        axis.set(xlabel=label, ylabel="success in validation mazes", ylim=(0, 1.03))
        axis.grid(color=FAINT)
    axes[0].legend(frameon=False)
    figure.tight_layout()
    save_png(figure, IMAGES / "curves.png")


def draw_films(films: Sequence[Path]) -> None:
    """A row for each episode: its first frame, its last, and some between."""
    rows = []
    for film in films:
        frames = read_video(film, resolution=SIDE)
        shown = np.linspace(0, len(frames) - 1, SHOWN).round().astype(int)
        rows.append(np.concatenate(frames[shown], 1))
    write_picture(np.concatenate(rows), IMAGES / "films.png")


if __name__ == "__main__":
    tyro.cli(main)
