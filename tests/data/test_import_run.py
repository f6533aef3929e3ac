"""An import is all or nothing, goes on where it stopped, and harms nothing that is there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from worldmodel_env.data import schema
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.importers.run import import_set
from worldmodel_env.data.importers.source import Source, natural_order
from worldmodel_env.data.importers.splits import Shares, assign
from worldmodel_env.data.importers.unrewarded import unrewarded
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError

NONE = Shares(validation=0, test=0)


@dataclass(frozen=True)
class FakeImporter:
    """Makes episodes out of nothing; notes on disk which it made."""

    log: Path
    count: int = 6
    bad: int | None = None
    wait: float = 0.0
    resolution: int = 16

    @property
    def settings(self) -> dict[str, str | int | float | None]:
        return {"format": "fake", "resolution": self.resolution}

    def sources(self) -> list[Source]:
        return [Source(f"{number}.fake") for number in range(self.count)]

    def load(self, source: Source) -> Episode:
        number = int(source.name.partition(".")[0])
        with self.log.open("a") as log:
            log.write(f"{number}\n")
        time.sleep(self.wait)
        if number == self.bad:
            raise InputError(f"{source.name} is bad")
        frames = np.full((4, self.resolution, self.resolution, 3), number, np.uint8)
        space = schema.space_to_json(spaces.Discrete(1))
        about = {"simulator": "fake", "policy": "fake", "frame_skip": 1, "action_space": space}
        return unrewarded(frames, np.zeros(3, np.int64), about)

    def loaded(self) -> list[int]:
        return sorted(int(line) for line in self.log.read_text().splitlines())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.mark.parametrize("workers", [1, 2])
def test_all_episodes_arrive_in_their_order(tmp_path: Path, log: Path, workers: int) -> None:
    summary = import_set(FakeImporter(log), tmp_path / "set", shares=NONE, workers=workers,
                         progress=False)  # fmt: skip
    assert (summary.imported, summary.present) == ({"train": 6}, 0)
    dataset = TrajectoryDataset.open(tmp_path / "set")
    for number, ref in enumerate(dataset.episodes("train")):
        episode = dataset.read(ref)
        assert (ref.seed, episode.observations[0, 0, 0, 0]) == (number, number)
        assert episode.attributes["source"] == f"{number}.fake"
    assert validate(tmp_path / "set").ok
    assert os.listdir(tmp_path / "set") == ["data"]


def test_again_does_nothing_and_a_longer_set_is_added(tmp_path: Path, log: Path) -> None:
    out = tmp_path / "set"
    import_set(FakeImporter(log), out, shares=NONE, progress=False)
    again = import_set(FakeImporter(log), out, shares=NONE, progress=False)
    assert (again.imported, again.present) == ({}, 6)
    more = import_set(FakeImporter(log, count=8), out, shares=NONE, progress=False)
    assert (more.imported, more.present) == ({"train": 2}, 6)
    assert FakeImporter(log).loaded() == list(range(8))
    appended = import_set(FakeImporter(log, 2), out, shares=NONE, first=100, progress=False)
    assert appended.imported == {"train": 2}
    seeds = [ref.seed for ref in TrajectoryDataset.open(out).episodes()]
    assert seeds == [*range(8), 100, 101]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_episode_leaves_no_data_set_and_the_rest_is_kept_for_later(
    tmp_path: Path, log: Path, workers: int
) -> None:
    out = tmp_path / "set"
    with pytest.raises(InputError, match=r"4\.fake is bad"):
        import_set(FakeImporter(log, bad=4), out, shares=NONE, workers=workers, progress=False)
    with pytest.raises(InputError, match="is not a data set"):
        TrajectoryDataset.open(out)
    log.unlink()
    import_set(FakeImporter(log), out, shares=NONE, progress=False)
    assert 4 in FakeImporter(log).loaded()
    assert 0 not in FakeImporter(log).loaded()  # it was staged
    assert len(TrajectoryDataset.open(out).episodes()) == 6


def test_a_bad_episode_leaves_an_existing_set_as_it_was(tmp_path: Path, log: Path) -> None:
    out = tmp_path / "set"
    import_set(FakeImporter(log, 3), out, shares=NONE, progress=False)
    before = TrajectoryDataset.open(out).data_hash()
    with pytest.raises(InputError, match=r"1\.fake is bad"):
        import_set(FakeImporter(log, 2, bad=1), out, shares=NONE, first=10, progress=False)
    assert TrajectoryDataset.open(out).data_hash() == before
    assert validate(out).ok


def test_other_settings_begin_anew(tmp_path: Path, log: Path) -> None:
    out = tmp_path / "set"
    with pytest.raises(InputError, match="is bad"):
        import_set(FakeImporter(log, bad=5), out, shares=NONE, progress=False)
    import_set(FakeImporter(log, resolution=8), out, shares=NONE, progress=False)
    assert TrajectoryDataset.open(out).observation_space.shape == (8, 8, 3)
    with pytest.raises(InputError, match=r"holds as seed 0 an episode of 0\.fake"):
        import_set(FakeImporter(log), out, shares=NONE, progress=False)
    with pytest.raises(InputError, match="frames of 16 x 16 pixels but"):
        import_set(FakeImporter(log), out, shares=NONE, first=10, progress=False)


def test_a_recorded_set_is_not_taken_for_an_imported_one(toy_set: Path, log: Path) -> None:
    with pytest.raises(InputError, match="an episode of toy_env:Toy-v0"):
        import_set(FakeImporter(log), toy_set, shares=NONE, progress=False)


def test_killed_it_goes_on(tmp_path: Path, log: Path) -> None:
    out = tmp_path / "set"
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "from test_import_run import NONE, FakeImporter, import_set\n"
        f"import_set(FakeImporter(Path({str(log)!r}), wait=0.2), Path({str(out)!r}), shares=NONE)"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    staged = out / ".importing" / schema.EPISODES
    while process.poll() is None and (not staged.is_dir() or len(os.listdir(staged)) < 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "data").exists()
    log.unlink()
    import_set(FakeImporter(log), out, shares=NONE, progress=False)
    assert len(TrajectoryDataset.open(out).episodes()) == 6
    assert len(FakeImporter(log).loaded()) <= 4
    assert validate(out).ok


def test_killed_while_joining_it_goes_on(tmp_path: Path, log: Path) -> None:
    out = tmp_path / "set"
    import_set(FakeImporter(log, 2), out, shares=NONE, progress=False)
    with pytest.raises(InputError):
        import_set(FakeImporter(log, bad=5), out, shares=NONE, progress=False)
    staged = out / ".importing" / schema.episode_file(3)
    staged.replace(out / "data" / schema.episode_file(3))  # as if killed between two moves
    import_set(FakeImporter(log), out, shares=NONE, progress=False)
    assert len(TrajectoryDataset.open(out).episodes()) == 6
    assert not (out / ".importing").exists()


def sources(*names: str) -> Sequence[Source]:
    return [Source(name) for name in names]


def test_the_rule_depends_on_names_alone() -> None:
    names = [f"{number}.mp4" for number in range(40)]
    first = {job.source.name: job.split for job in assign(sources(*names), Shares(0.1, 0.2))}
    second = {
        job.source.name: job.split for job in assign(sources(*reversed(names)), Shares(0.1, 0.2))
    }
    assert first == second
    counts = [list(first.values()).count(split) for split in schema.SPLITS]
    assert counts == [29, 3, 8]  # a tenth of what is left for training
    other = {job.source.name: job.split for job in assign(sources(*names), Shares(0.1, 0.2, 1))}
    assert other != first


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="too few to hold out"):
        assign(sources("a"), Shares())
    with pytest.raises(InputError, match=r"--test is 1"):
        assign(sources("a"), Shares(0, 1.0))
    with pytest.raises(InputError, match="leave a split's range"):
        assign(sources("a"), NONE, first=schema.SEEDS_PER_SPLIT)


def test_natural_order() -> None:
    names = ["a/10.npz", "a/2.npz", "10/1", "9/1", "b"]
    assert sorted(names, key=natural_order) == ["9/1", "10/1", "a/2.npz", "a/10.npz", "b"]
