"""Run probes on a world and add what they find to its report: `worldmodel probe`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.probes.action_following import InverseDynamics, probe_actions
from worldmodel_env.evaluation.probes.bench import FITTED_MAP, Bench
from worldmodel_env.evaluation.probes.clips import longest, read_clips
from worldmodel_env.evaluation.probes.drift import run_drift
from worldmodel_env.evaluation.probes.drift_measure import Tokens, measure_recorded
from worldmodel_env.evaluation.probes.drift_section import drift_section
from worldmodel_env.evaluation.probes.figure import draw_section
from worldmodel_env.evaluation.probes.flatness import probe_flatness
from worldmodel_env.evaluation.probes.map_probe import fit_map, probe_map
from worldmodel_env.evaluation.probes.map_targets import map_targets
from worldmodel_env.evaluation.probes.novelty import probe_novelty
from worldmodel_env.evaluation.probes.outcomes import foretell
from worldmodel_env.evaluation.probes.rare_events import probe_rare_events
from worldmodel_env.evaluation.probes.returns import Tolerance
from worldmodel_env.evaluation.probes.revisit import probe_revisits
from worldmodel_env.evaluation.probes.temporal_state import trace
from worldmodel_env.evaluation.probes.theme import learn_themes, probe_themes
from worldmodel_env.evaluation.report import Section

RETURN = 1 / 8
"""Two poses are one if they are at most this share of a cell apart (and look the same way)."""
DRIFT_CONTEXT = 36
PARTS = "drift-parts"


def run_probes(
    bench: Bench,
    out: Path,
    only: Sequence[str] = (),
    *,
    event_context: int = 16,
    drift_horizon: int = 3000,
    drift_episodes: int = 8,
) -> dict[str, Section]:
    """Run some probes, or all, and draw a figure of each into `out`.

    Args:
        bench: the world and the data.
        out: the report's folder; drift keeps there what it has measured.
        only: names of probes; all if empty, of which those that the data does not allow are
            reported as not measured.
        event_context: true frames before rewards and endings are counted.
        drift_horizon: frames imagined freely by drift.
        drift_episodes: of how many walks.

    Returns:
        Probe -> its section.

    Raises:
        InputError: an unknown probe, or one that was asked for by name and cannot be measured.
    """
    probes: dict[str, Callable[[], Section]] = {
        "revisit": lambda: _revisit(bench),
        "action_following": lambda: _actions(bench),
        "theme": lambda: _theme(bench),
        "flatness": lambda: probe_flatness(bench.rollout, seed=bench.seed),
        "novelty": lambda: _novelty(bench),
        "map_probe": lambda: _map(bench),
        "rare_events": lambda: _events(bench, event_context),
        "drift": lambda: _drift(bench, out, drift_horizon, drift_episodes),
    }
    for name in only:
        if name not in probes:
            raise InputError(f"unknown probe {name!r}; choose from {', '.join(probes)}.")
    out.mkdir(parents=True, exist_ok=True)
    source = {
        "data_sha256": TrajectoryDataset.open(bench.data).data_hash(bench.split),
        "split": bench.split,
    }
    found = {}
    for name in only or probes:
        try:
            section = probes[name]()
        except InputError as error:
            if only:
                raise
            found[name] = Section(name, "Not measured.", notes=(str(error),))
            continue
        found[name] = replace(section, details={**source, **section.details})
        draw_section(section, out / f"{name}.png")
    return found


def _revisit(bench: Bench) -> Section:
    return probe_revisits(bench.rollout, Tolerance(bench.cell * RETURN), seed=bench.seed)


def _novelty(bench: Bench) -> Section:
    return probe_novelty(bench.rollout, Tolerance(bench.cell * RETURN), seed=bench.seed)


def _actions(bench: Bench) -> Section:
    rollout = bench.rollout
    dynamics = InverseDynamics.learn(bench.fitting, seed=bench.seed)
    return probe_actions(rollout, dynamics, seed=bench.seed)


def _theme(bench: Bench) -> Section:
    rollout = bench.rollout
    classifier = learn_themes(bench.fitting, bench.cell, seed=bench.seed)
    return probe_themes(rollout, classifier, bench.cell, seed=bench.seed)


def _map(bench: Bench) -> Section:
    model = bench.predictor.world.imagination()
    fitting = bench.others(FITTED_MAP)
    seen = trace(model, fitting, fitting.length, seed=bench.seed)
    targets = map_targets(fitting, bench.cell)
    memory = fit_map(seen.memory, targets, fitting.places)
    glance = fit_map(seen.glance, targets, fitting.places)
    traces = {
        "observed": trace(model, bench.clips, bench.clips.length, seed=bench.seed),
        "imagined": trace(model, bench.clips, bench.context, seed=bench.seed),
    }
    held_out = map_targets(bench.clips, bench.cell)
    return probe_map(
        traces, held_out, bench.clips.places, memory, glance, bench.context, seed=bench.seed
    )


def _events(bench: Bench, context: int) -> Section:
    backend, batch = bench.predictor.backend, bench.predictor.batch
    outcomes = foretell(
        backend, batch, bench.data, bench.split, context, bench.episodes, seed=bench.seed
    )
    return probe_rare_events(outcomes, context, seed=bench.seed)


def _drift(bench: Bench, out: Path, horizon: int, episodes: int) -> Section:
    predictor, world = bench.predictor, bench.predictor.world
    length = min(longest(bench.data, bench.split), DRIFT_CONTEXT + horizon)
    clips = read_clips(bench.data, bench.split, length, episodes)
    context = min(DRIFT_CONTEXT, length - 1)
    tokens = Tokens(predictor.backend.encode, world.config.vqgan.n_codes, predictor.batch)
    key = f"{world.digest} {predictor.backend.name} {predictor.backend.precision}"
    imagined = run_drift(
        predictor, clips, context, horizon,
        tokens=tokens, cache=out / PARTS, key=key, seed=bench.seed,
    )  # fmt: skip
    recorded = measure_recorded(clips, horizon, len(clips), tokens, bench.seed)
    protocol = {"context": context, "horizon": horizon, "episodes": len(clips), "seed": bench.seed}
    return drift_section(imagined, recorded, protocol, seed=bench.seed)
