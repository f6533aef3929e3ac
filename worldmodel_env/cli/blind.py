"""`worldmodel blind` and `worldmodel elo`: compare models by eye, not knowing which is which."""

from pathlib import Path
from typing import Annotated, Literal

import tyro


def blind(
    models: Annotated[tuple[str, ...], tyro.conf.Positional],
    *,
    data: Path,
    out: Path,
    split: Literal["validation", "test"] = "test",
    context: int = 36,
    horizon: int = 60,
    episodes: int = 12,
    seed: int = 0,
) -> None:
    """Write a page on which people compare models pair by pair, blindly (docs/probes.md).

    Args:
        models: two or more files of predictions (docs/benchmark.md) or worlds.
        data: the recorded data set that they predict episodes of.
        out: folder of the page, index.html, and of key.json, which says which model was where.
        split: which episodes.
        context: real frames given first, if all models are worlds; files have their own.
        horizon: frames imagined; likewise.
        episodes: how many at most; each pair of models is shown once on each.
        seed: of order and sides.
    """
    from contextlib import ExitStack

    from worldmodel_env.data.dataset import TrajectoryDataset
    from worldmodel_env.evaluation.blind.compare import compare_blindly
    from worldmodel_env.evaluation.predictions import PredictionsFile
    from worldmodel_env.evaluation.predictor import WorldPredictor
    from worldmodel_env.evaluation.samples import ModelSource, Source
    from worldmodel_env.imagination.world import World
    from worldmodel_env.play.controls import controls_of

    dataset = TrajectoryDataset.open(data)
    with ExitStack() as files:
        sources: list[Source] = []
        for model in models:
            if Path(model).is_file():
                file = files.enter_context(PredictionsFile(Path(model)))
                file.check(dataset, None)
                sources.append(file)
            else:
                predictor = WorldPredictor(World.load(model), "torch", batch=4)
                predictor.check(dataset)
                sources.append(ModelSource(predictor))
        discrete = type(dataset.action_space).__name__ == "Discrete"
        names = [c.label.lower() for c in controls_of(dataset.action_space)] if discrete else []
        page, key = compare_blindly(
            sources, dataset, out, split=split, context=context, horizon=horizon,
            episodes=episodes, actions=names, seed=seed,
        )  # fmt: skip
    print(f"page: {page} (open it in a browser, vote, save the votes)")
    print(f"key: {key} (not for voters; `worldmodel elo {key} VOTES...` rates the models)")


def elo(
    key: Annotated[Path, tyro.conf.Positional],
    votes: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    out: Path | None = None,
) -> None:
    """Rate models by the votes saved from a page of `worldmodel blind`: Elo per axis.

    Args:
        key: the key.json written with the page.
        votes: files that the page saved, of any number of people.
        out: also write the ratings as JSON.
    """
    from worldmodel_env.evaluation.blind.ratings import rate_votes, write_ratings

    table = rate_votes(key, votes)
    for axis, ratings in table.items():
        print(axis)
        for model, r in ratings.items():
            ends = f"[{r.low:.0f}, {r.high:.0f}]"
            print(f"  {model:32s} {r.elo:6.0f} {ends:>14s}  {r.wins:g} of {r.games}")
    if out is not None:
        write_ratings(out, table)
        print(f"ratings: {out}")
