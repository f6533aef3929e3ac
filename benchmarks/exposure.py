"""Small worlds trained on their own mistakes, and in fewer passes: what each method gains.

All begin with the same world of 1.5 M parameters, trained by teacher forcing alone, and train as
much longer, each with one switch of `worldmodel train selfforcing` or none. The worlds of the part
`exposure` decode without z, so that what comes next is a function of the past. The world that ships
is measured beside them, as it is served.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.ablations import BASE, TRAINING
from worldmodel_env.data.clips import Clips, cut_clips
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.evaluation.exposure import exposure_gap
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.replay import evaluate_world
from worldmodel_env.imagination.rollout import dream
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.precision import resolve_device, resolve_dtype
from worldmodel_env.training.begin_with import take_tokenizer
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.encode import encode_run, encode_split
from worldmodel_env.training.finish import save_world
from worldmodel_env.training.recipes import TecoTraining
from worldmodel_env.training.self_forcing import STAGE, train_self_forcing
from worldmodel_env.training.self_forcing_recipe import SelfForcing, afterwards
from worldmodel_env.training.teco import train_teco

CLEAN = replace(BASE, code_noise=0.0)
WITHOUT_Z = Sampling(steps=0)
SHIPPED, RECORDED = "shipped", "recorded"
THOROUGH = Sampling(8, 1.0, "random", 2)
"""The paper's draft-and-revise, 24 passes."""

METHODS: dict[str, SelfForcing | TecoConfig | None] = {
    "before": None,
    "teacher forcing": CLEAN,
    "corruption": BASE,
    "resampling": SelfForcing(resampling=0.5),
    "self-roll-out": SelfForcing(self_rollout=8),
    SHIPPED: None,
    RECORDED: None,
}
"""How to go on after `base`; nothing is trained for `before`, nor for the world whose tokenizer all
have, which imagines as it is served, nor for recorded frames in the place of imagined ones."""
PASSES: dict[str, tuple[SelfForcing | None, Sampling]] = {
    "24 passes": (None, THOROUGH),
    "4 passes": (None, Sampling(4, 1.0)),
    "2 passes": (None, Sampling(2, 1.0)),
    "4 passes, distilled": (SelfForcing(distil=4), Sampling(4, 1.0)),
    "2 passes, distilled": (SelfForcing(distil=2), Sampling(2, 1.0)),
}
STEPS, MORE = 400, 150
GAPS = (1, 2, 4, 8, 16, 32, 64)
CONTEXT, CLIPS = 36, 48
BUCKETS = ((0, 100), (200, 300), (1000, 1100), (2900, 3000))
"""Frames ahead, from and to."""
EVERY = 5
"""Of the frames in a bucket, those that are compared."""
SETTINGS = {
    "steps": STEPS, "more": MORE, "clip": TRAINING.clip, "batch": TRAINING.batch_size, "gaps": GAPS,
}  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """Data, and where worlds are trained.

    Attributes:
        data: a recorded data set of SimMaze-v0.
        walks: another one whose test episodes have 3,000 steps; None leaves those columns empty.
        work: the folder of all runs; codes are shared by them, in `work/codes`.
        world: whose tokenizer all take.
    """

    data: Path
    walks: Path | None
    work: Path
    world: World

    def exposed(self, method: str, seed: int) -> dict[str, float]:
        """A cell of `exposure`: cross-entropy after k frames of its own, and long roll-outs."""
        if method == RECORDED:
            return self._ceiling(seed) if self.walks else {}
        model = self._method(method, seed)
        store = self.codes["validation"]
        first, end = store.starts[:-1], store.starts[1:]
        frames = CONTEXT + max(GAPS) + 1
        long = np.flatnonzero(end - first >= frames)[:CLIPS]
        clips = cut_clips(store, first[long], end[long], frames)
        found: dict[str, float] = {}
        gaps = exposure_gap(model, clips, GAPS, context=CONTEXT, key=seed * CLIPS)
        for k, (own, recorded) in gaps.items():
            found |= {f"CE after {k} of its own": own, f"CE instead of {k}": recorded}
        return found | (self._far(model, seed) if self.walks else {})

    def _method(self, method: str, seed: int) -> Imagination:
        """A trained world, or the one that ships."""
        if method == SHIPPED:
            return self.world.imagination()
        how, world = METHODS[method], self.base(seed)
        if isinstance(how, TecoConfig):
            name = f"{method}-{seed}"
            world = self._trained(name, how, afterwards(TRAINING), MORE, seed, world)
        elif how is not None:
            world = self._self_forced(f"{method}-{seed}", how, world, seed)
        return with_sampling(world, WITHOUT_Z).imagination()

    def sampled(self, name: str, seed: int) -> dict[str, float]:
        """A cell of `passes`: what replayed episodes look like."""
        recipe, sampling = PASSES[name]
        world = self.base(seed)
        if recipe is not None:
            asked = with_sampling(world, THOROUGH)
            world = self._self_forced(f"distil-{recipe.distil}-{seed}", recipe, asked, seed)
        report = self.work / f"passes-{list(PASSES).index(name)}-{seed}"
        result = evaluate_world(
            with_sampling(world, sampling), self.data, report, context=24, horizon=10, episodes=32
        )
        curves = result.horizons.curves["world"]
        return {
            f"{metric.upper()} at {h}": float(curves[metric].mean[h - 1])
            for metric in ("lpips", "psnr") if metric in curves for h in (1, 5, 10)
        }  # fmt: skip

    def base(self, seed: int) -> World:
        """Teacher forcing alone."""
        return self._trained(f"base-{seed}", CLEAN, TRAINING, STEPS, seed, None)

    @cached_property
    def codes(self) -> dict[str, CodeStore]:
        """Of training and validation episodes."""
        return encode_run(self.world.config.vqgan, self.data, self._run("base-0"))

    def _trained(
        self, name: str, config: TecoConfig, training: TecoTraining, steps: int, seed: int,
        begin_with: World | None,
    ) -> World:  # fmt: skip
        run = self._run(name)
        if not (run / "world").exists():
            train_teco(
                config, replace(training, evaluate_every=steps), vqgan=self.world.config.vqgan,
                data=self.data, out=run, budget=Budget(steps=steps), seed=seed,
                begin_with=begin_with,
            )  # fmt: skip
            save_world(run, self.data, name=name, preset="", sampling=WITHOUT_Z)
        return World.load(run / "world")

    def _self_forced(self, name: str, recipe: SelfForcing, base: World, seed: int) -> World:
        run = self._run(name)
        if not (run / "world").exists():
            train_self_forcing(
                base, recipe, replace(afterwards(TRAINING), evaluate_every=MORE),
                data=self.data, out=run, budget=Budget(steps=MORE), seed=seed,
            )  # fmt: skip
            sampling = recipe.sampling(base)
            save_world(run, self.data, name=name, preset="", sampling=sampling, stage=STAGE)
        return World.load(run / "world")

    def _run(self, name: str) -> Path:
        """A run folder with the tokenizer and the codes that all share."""
        run = self.work / name.replace(" ", "-")
        run.mkdir(parents=True, exist_ok=True)
        (self.work / "codes").mkdir(exist_ok=True)
        if not (run / "codes").exists():
            (run / "codes").symlink_to((self.work / "codes").resolve())
        take_tokenizer(self.world, self.world.config.vqgan, run)
        return run

    def _far(self, model: Imagination, seed: int) -> dict[str, float]:
        """How near frames of long roll-outs come to what was recorded in the same maze."""
        clips = self._walks(model)
        assert clips.actions is not None  # a store's clips have them
        state = model.begin(clips.codes[:, 0])
        for t in range(1, CONTEXT):
            state = model.observe_codes(state, clips.codes[:, t], clips.actions[:, t - 1])
        ahead = clips.actions[:, CONTEXT - 1 : CONTEXT - 1 + BUCKETS[-1][1]]
        keys = torch.arange(len(ahead)) + seed * len(ahead)
        codes = dream(model, state, ahead, keys).codes[:, 1:]
        return distances(model, codes, clips.codes)

    def _ceiling(self, seed: int) -> dict[str, float]:
        """How near one half of a walk comes to the other: what a perfect world would reach."""
        model = self.world.imagination()
        halves = self._walks(model).codes.tensor_split(2, 1)
        return distances(model, halves[1 - seed % 2], halves[seed % 2])

    def _walks(self, model: Imagination) -> Clips:
        """The long walks, whole."""
        assert self.walks is not None
        dtype = resolve_dtype("auto", resolve_device("cpu"))
        dataset = TrajectoryDataset.open(self.walks)
        store = encode_split(model.vqgan, dataset, "test", self.work / "walks", dtype)
        first, end = store.starts[:-1], store.starts[1:]
        return cut_clips(store, first, end, int((end - first).min()))


@torch.no_grad()
def distances(model: Imagination, imagined: Tensor, recorded: Tensor) -> dict[str, float]:
    """By bucket, of imagined frames to the best match among recorded ones, as codes and LPIPS.

    Args:
        model: whose tokenizer's.
        imagined: codes (B, K, g, g), from the first imagined frame on.
        recorded: codes (B, T, g, g) of walks in the same mazes; another maze's, for chance, are
            those of the row after: the best match among them, and any, frame for frame.
    """
    vectors = model.vqgan.codebook.vectors()
    lpips = Lpips("alex")

    def flat(codes: Tensor) -> Tensor:
        return vectors[codes].flatten(1)

    found: dict[str, float] = {}
    for begin, end in (bucket for bucket in BUCKETS if bucket[1] <= imagined.shape[1]):
        frames = imagined[:, begin:end:EVERY]
        others = recorded.roll(1, 0)
        any_frame = others[:, begin:end:EVERY]
        matches = {"same maze": recorded, "other maze": others, "any frame": any_frame}
        for where, candidates in matches.items():
            code, perceived = [], []
            for own, known in zip(frames, candidates, strict=True):
                distance = torch.cdist(flat(own), flat(known))
                best = torch.arange(len(own)) if where == "any frame" else distance.argmin(1)
                reached = distance.gather(1, best[:, None])
                code.append((reached.square() / own[0].numel()).mean())
                ours, theirs = (model.vqgan.decode(x).numpy() for x in (own, known[best]))
                perceived.append(lpips.distance(ours, theirs).mean())
            name = f"{begin}-{end}, {where}"
            found[f"codes, {name}"] = float(torch.stack(code).mean())
            found[f"LPIPS, {name}"] = float(np.mean(perceived))
        moved = (imagined[:, begin + 1 : end] != imagined[:, begin : end - 1]).float().mean()
        found[f"codes that change, {begin}-{end}"] = float(moved)
    return found


def with_sampling(world: World, sampling: Sampling) -> World:
    """The world, drawing its frames otherwise."""
    return replace(world, config=replace(world.config, sampling=sampling))
