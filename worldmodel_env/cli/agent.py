"""`worldmodel agent ...`: train agents in imagination or simulators, and judge them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

if TYPE_CHECKING:
    from agents.baselines import RowPolicy


def train() -> Callable[..., None]:
    """Train an agent by PPO; run it again to go on."""
    from agents.ppo import Args
    from agents.ppo import train as train_agent

    def run(args: Annotated[Args, tyro.conf.arg(name="")]) -> None:
        """Train an agent by PPO; run it again to go on."""
        print(train_agent(args))

    return run


def evaluate(
    *,
    env: str = "SimMaze-v0",
    env_kwargs: tuple[str, ...] = (),
    agent: tuple[Path, ...] = (),
    against: tuple[Literal["random", "walker", "shortest-path"], ...] | None = None,
    episodes: int = 200,
    seed: int | None = None,
    greedy: bool = False,
    num_envs: int = 16,
    device: str = "auto",
    threads: int = 1,
    out: Path = Path("evaluation"),
    films: int = 3,
) -> None:
    """Play episodes of unseen mazes: success, return and steps to the goal, with intervals.

    Args:
        env: a Gymnasium id of this project, or "module:id".
        env_kwargs: arguments of the environment, such as size=5 split=validation; simulators with
            splits are given split=test unless told otherwise.
        agent: folders of trained agents; several are taken for trainings of one kind.
        against: policies to compare with, of which the shortest path knows the map; if not given,
            all of them in SimMaze-v0, the first two in TecoMaze-v0, elsewhere random.
        episodes: how many, each of another seed.
        seed: of the first; the test split's first if not given.
        greedy: take the likeliest action instead of drawing.
        num_envs: episodes at a time.
        device: auto, cpu, cuda, ...
        threads: CPU threads.
        out: folder of report.json and the films.
        films: episodes of the first agent to write as videos.
    """
    from agents.baselines import Rows, Uniform, Walking
    from agents.envs import has_splits, parse_kwargs
    from agents.evaluate import evaluate as play
    from agents.network import agent_counters, load_agent
    from agents.policy import Actors
    from agents.report import table, write_report
    from worldmodel_env.cli.options import set_threads
    from worldmodel_env.data.schema import SEED_BASE

    set_threads(threads)
    kwargs = {**({"split": "test"} if has_splits(env) else {}), **parse_kwargs(env_kwargs)}
    first = SEED_BASE["test"] if seed is None else seed
    settings: dict[str, Any] = {"kwargs": kwargs, "num_envs": num_envs, "device": device}
    seeds = range(first, first + episodes)
    known: dict[str, Callable[[], RowPolicy]] = {
        "random": Uniform,
        "walker": Walking,
        "shortest-path": shortest_path,
    }
    results: dict[str, list[Any]] = {}
    for number, folder in enumerate(agent):
        trained = load_agent(folder)
        paths = {i: out / f"episode-{i}.mp4" for i in range(min(films, episodes))}
        results.setdefault("agent", []).append(
            play(
                env, Actors.of(trained, greedy=greedy), seeds,
                films=paths if number == 0 else {}, **settings,
            )
        )  # fmt: skip
    fitting = {"SimMaze-v0": 3, "TecoMaze-v0": 2}.get(env, 1)
    for name in tuple(known)[:fitting] if against is None else against:
        results[name] = [play(env, Rows.of(known[name]), seeds, **settings)]
    out.mkdir(parents=True, exist_ok=True)
    about = {str(folder): dict(agent_counters(folder)) for folder in agent}
    write_report(out / "report.json", results, env=env, env_kwargs=kwargs, agents=about)
    print(table(results))
    print(f"report: {out / 'report.json'}")


def transfer() -> Callable[..., None]:
    """Compare training in the simulator, in imagination, and with refreshes of the world."""
    from agents.transfer import Transfer
    from agents.transfer import transfer as compare

    def run(args: Annotated[Transfer, tyro.conf.arg(name="")]) -> None:
        """Compare training in the simulator, in imagination, and with refreshes of the world."""
        print(compare(args, shortest_path if args.simulator == "SimMaze-v0" else None))

    return run


def plan(
    *,
    env: str = "SimMaze-v0",
    env_kwargs: tuple[str, ...] = (),
    imagined: str = "TecoMaze-v0",
    world: str = "maze",
    agent: Path | None = None,
    episodes: int = 20,
    seed: int | None = None,
    horizon: int = 12,
    branches: int = 64,
    iterations: int = 2,
    surprise: float = 0.0,
    threads: int = 1,
    out: Path = Path("plans"),
) -> None:
    """Let a planner act, which tries sequences of actions in forks of a world.

    Args:
        env: where to act.
        env_kwargs: arguments of it, such as size=5.
        imagined: where to plan.
        world: a shipped world's name or a world's folder.
        agent: a trained agent whose value stands for what comes after the horizon.
        episodes: how many, each of another seed.
        seed: of the first; the test split's first if not given.
        horizon: steps looked ahead.
        branches: sequences imagined at a time.
        iterations: how often they are drawn anew around the best; 1 is random shooting.
        surprise: reward taken away per nat of the world's surprise.
        threads: CPU threads of imagination.
        out: folder of report.json and a video.
    """
    from agents.baselines import Rows, Uniform
    from agents.envs import has_splits, parse_kwargs
    from agents.evaluate import evaluate as play
    from agents.network import load_agent
    from agents.planner import Planner
    from agents.report import table, write_report
    from worldmodel_env.data.schema import SEED_BASE

    kwargs = {**({"split": "test"} if has_splits(env) else {}), **parse_kwargs(env_kwargs)}
    first = SEED_BASE["test"] if seed is None else seed
    seeds = range(first, first + episodes)
    critic = None if agent is None else load_agent(agent)

    def planner() -> Planner:
        return Planner(
            imagined, {"world": world, "threads": threads}, horizon=horizon, branches=branches,
            iterations=iterations, surprise=surprise, agent=critic,
        )  # fmt: skip

    out.mkdir(parents=True, exist_ok=True)
    results = {
        "planner": [
            play(
                env, Rows.of(planner), seeds, kwargs=kwargs, num_envs=1,
                films={0: out / "episode-0.mp4"},
            )
        ],
        "random": [play(env, Rows.of(Uniform), seeds, kwargs=kwargs)],
    }  # fmt: skip
    write_report(out / "report.json", results, env=env, env_kwargs=kwargs, world=world)
    print(table(results))


def shortest_path() -> "RowPolicy":
    """The explorer that knows the map."""
    from simulators import explorers

    return explorers.make("goal")
