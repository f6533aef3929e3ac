import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import faulty_env
import pytest
import toy_env

from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError


def run(out: Path, episodes: int = 6, workers: int = 2, patience: float = 30, **env_kwargs):
    return record(
        faulty_env.ID, out, episodes=episodes, policy="random", progress=False, workers=workers,
        patience=patience, env_kwargs=env_kwargs,
    )  # fmt: skip


def frames(root: Path) -> dict[int, str]:
    return {ref.seed: ref.row.sha256 for ref in TrajectoryDataset.open(root).episodes()}


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory) -> dict[int, str]:
    root = tmp_path_factory.mktemp("unharmed")
    run(root, episodes=40, workers=0)
    return frames(root)


@pytest.mark.parametrize(
    ("fault", "workers", "crashes", "hangs"),
    [("crash", 1, 1, 0), ("crash", 2, 1, 0), ("hang", 1, 0, 1), ("raise", 2, 1, 0)],
)
def test_a_failed_episode_is_played_again(tmp_path, unharmed, fault, workers, crashes, hangs):
    marker = str(tmp_path / "marker")
    patience = 3.0 if fault == "hang" else 30.0
    summary = run(tmp_path, fault=fault, seed=2, marker=marker, workers=workers, patience=patience)
    assert (summary.recorded, summary.crashes, summary.hangs) == (6, crashes, hangs)
    assert summary.failed == {}
    assert f"crashed {crashes} times and hung {hangs} times" in str(summary)
    assert frames(tmp_path) == {seed: unharmed[seed] for seed in range(6)}
    assert validate(tmp_path).ok


def test_an_episode_that_always_fails_is_given_up_and_named(tmp_path, unharmed):
    summary = run(tmp_path, fault="crash", seed=2)
    assert (summary.recorded, summary.crashes) == (5, 3)
    assert list(summary.failed) == [2]
    assert "SIGKILL" in summary.failed[2]
    assert "something is wrong with the engine" in summary.failed[2]
    assert "given up after 3 attempts: seed 2" in str(summary)
    assert frames(tmp_path) == {seed: unharmed[seed] for seed in (0, 1, 3, 4, 5)}
    assert validate(tmp_path).ok


def test_a_simulator_that_only_fails_ends_the_recording(tmp_path):
    with pytest.raises(InputError, match=r"3 episodes in a row.*the engine gave no frame"):
        run(tmp_path, episodes=50, fault="raise", seed=-1)
    assert not list(tmp_path.rglob("*.hdf5"))


def test_what_an_engine_prints_disturbs_nobody(tmp_path, unharmed, capfd):
    assert run(tmp_path, chatter=True).recorded == 6
    assert frames(tmp_path) == {seed: unharmed[seed] for seed in range(6)}
    assert "loading" not in "".join(capfd.readouterr())


def test_bad_input_in_a_worker_is_told_and_nothing_stays_running(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        run(tmp_path / "file")
    with pytest.raises(InputError, match="only uint8 images"):
        record("CartPole-v1", tmp_path / "out", episodes=2, policy="random", workers=2,
               progress=False)  # fmt: skip
    assert children() == []


def test_a_full_disk_in_a_worker_is_named_and_whole_files_stay(tmp_path, monkeypatch):
    pytest.importorskip("resource")
    code = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (10_000, r.RLIM_INFINITY))"
    (tmp_path / "sitecustomize.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(InputError, match=r"hdf5 \(File too large\).*free some space"):
        run(tmp_path / "out")
    assert list((tmp_path / "out/data/episodes").iterdir()) == []


def children() -> list[str]:
    """Workers that this process started and that still run."""
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())],
                            capture_output=True, text=True)  # fmt: skip
    return [line for line in listed.stdout.splitlines() if "simulators.worker" in line]


def start(out: Path, workers: int, parts: str = "0/1") -> subprocess.Popen:
    code = (
        "import sys; from pathlib import Path; from simulators.recorder import record\n"
        "part, parts = map(int, sys.argv[3].split('/'))\n"
        f"record({faulty_env.ID!r}, Path(sys.argv[1]), episodes=150, policy='random',\n"
        "       progress=False, workers=int(sys.argv[2]), env_kwargs={'delay': 0.002},\n"
        "       shard=(part, parts))\n"
    )
    folders = {str(Path(module.__file__).parent) for module in (toy_env, faulty_env)}
    paths = os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code, str(out), str(workers), parts],
        env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def wait_for(out: Path, episodes: int, *processes: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while len(list(out.glob("data/episodes/*.hdf5"))) < episodes and time.monotonic() < deadline:
        for process in processes:
            assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.01)


def workers_of(out: Path) -> list[int]:
    """Pids of processes that have a file name of `out` in them, this one left out."""
    return [
        int(entry.name) for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid()
        and str(out) in _environment(entry)
    ]  # fmt: skip


def _environment(entry: Path) -> str:
    try:
        return (entry / "environ").read_text(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize("workers", [0, 2])
def test_kill_loses_only_episodes_in_progress_and_ends_the_workers(
    tmp_path, unharmed, workers, monkeypatch
):
    monkeypatch.setenv("OUT_OF_TEST", str(tmp_path))
    process = start(tmp_path, workers)
    wait_for(tmp_path, 5, process)
    if Path("/proc").is_dir():
        assert len(workers_of(tmp_path)) == 1 + workers
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while workers_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers_of(tmp_path) == []
    assert validate(tmp_path).ok
    survivors = frames(tmp_path)
    assert 5 <= len(survivors) < 150
    wanted = min(40, max(survivors) + 4)
    summary = run(tmp_path, episodes=wanted, workers=0, delay=0.002)
    assert summary.skipped == sum(seed < wanted for seed in survivors)
    assert not list(tmp_path.rglob(".*.partial"))
    assert {seed: digest for seed, digest in frames(tmp_path).items() if seed < 40} == {
        seed: unharmed[seed] for seed in range(wanted)
    }


@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupt_leaves_whole_files_and_fresh_caches(tmp_path, workers):
    process = start(tmp_path, workers)
    wait_for(tmp_path, 5, process)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in errors
    report = validate(tmp_path)
    assert report.ok
    assert report.notes == ()
    assert 5 <= report.episodes < 150


def test_writers_on_one_folder_do_each_other_no_harm(tmp_path, unharmed):
    """Two shards and a third writer of everything, one of them killed; then one more run."""
    processes = [start(tmp_path, 1, "0/2"), start(tmp_path, 1, "1/2"), start(tmp_path, 1)]
    wait_for(tmp_path, 20, *processes)
    os.kill(processes[0].pid, signal.SIGKILL)
    wait_for(tmp_path, 40, *processes[1:])
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
    time.sleep(0.5)
    run(tmp_path, episodes=40, workers=1, delay=0.002)
    assert validate(tmp_path).ok
    found = frames(tmp_path)
    assert {seed: found[seed] for seed in unharmed} == unharmed
