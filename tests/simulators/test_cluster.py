import os
import stat
import sys
from pathlib import Path

import faulty_env
import pytest
import toy_env

from simulators.cluster import record_on_cluster
from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError


def run(out: Path, cluster: str, **changed):
    arguments = {
        "episodes": 5, "validation": 2, "policy": "random", "jobs": 2, "progress": False,
        "simulator": toy_env.ID,
    }  # fmt: skip
    return record_on_cluster(out=out, cluster=cluster, **{**arguments, **changed})


def content(root: Path) -> dict[int, str]:
    return {ref.seed: ref.row.sha256 for ref in TrajectoryDataset.open(root).episodes()}


def check_whole(tmp_path: Path, cluster: str, **changed) -> None:
    summary = run(tmp_path / cluster, cluster, **changed)
    assert (summary.recorded, summary.skipped, summary.failed) == (7, 0, {})
    report = validate(tmp_path / cluster)
    assert report.ok
    assert report.notes == ()
    assert sorted(path.name for path in (tmp_path / cluster).iterdir()) == ["data"]
    record(toy_env.ID, tmp_path / "here", episodes=5, validation=2, policy="random", progress=False)
    assert content(tmp_path / cluster) == content(tmp_path / "here")
    assert run(tmp_path / cluster, cluster, **changed).skipped == 7


def test_processes_on_this_machine(tmp_path):
    pytest.importorskip("submitit")
    check_whole(tmp_path, "local")


@pytest.mark.slow  # Ray takes half a minute to start and stop
def test_ray(tmp_path):
    ray = pytest.importorskip("ray")
    try:
        check_whole(tmp_path, "ray", options={"num_cpus": 2, "include_dashboard": False})
        with pytest.raises(InputError, match="only uint8 images"):
            run(tmp_path / "bad", "ray", simulator="CartPole-v1")
    finally:
        ray.shutdown()


SLURM = {
    # Starts the script's command here and now, as a job with a number.
    "sbatch": """
import os, re, subprocess, sys, time
text = open(sys.argv[-1]).read()
number = str(int(time.time() * 1000) % 10**8)
log = re.search(r"--output=(\\S+)", text).group(1).replace("%j", number).replace("%t", "0")
os.makedirs(os.path.dirname(log), exist_ok=True)
command = next(line for line in text.splitlines() if line.startswith("srun"))
start = command.index(sys.executable) if sys.executable in command else command.index("python")
environment = dict(os.environ, SUBMITIT_EXECUTOR="slurm", SLURM_JOB_ID=number,
                   SLURM_JOBID=number, SLURM_PROCID="0",
                   SLURM_LOCALID="0", SLURM_NODEID="0", SLURM_NTASKS="1", SLURM_NNODES="1",
                   SLURM_JOB_NUM_NODES="1", SLURM_JOB_NODELIST="here")
with open(os.path.join(os.path.dirname(sys.argv[0]), number), "w") as mark:
    mark.write(text)
job = subprocess.Popen(["sh", "-c", command[start:].replace("%j", number)], env=environment,
                       stdout=open(log, "w"), stderr=subprocess.STDOUT, start_new_session=True)
with open(os.path.join(os.path.dirname(sys.argv[0]), number + ".pid"), "w") as mark:
    mark.write(str(job.pid))
print("Submitted batch job", number)
""",
    "sacct": """
import os, sys
folder = os.path.dirname(sys.argv[0])
print("JobID|State|NodeList")
for name in os.listdir(folder):
    if name.endswith(".pid"):
        try:
            os.kill(int(open(os.path.join(folder, name)).read()), 0)
            state = "RUNNING"
        except ProcessLookupError:
            state = "COMPLETED"
        print(name[:-4] + "|" + state + "|here")
""",
    "srun": "",
    "scancel": "",
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Commands that behave as SLURM's do, on this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, code in SLURM.items():
        file = folder / name
        file.write_text(f"#!{sys.executable}\n{code}")
        file.chmod(file.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_slurm(tmp_path, slurm):
    pytest.importorskip("submitit")
    check_whole(tmp_path, "slurm", options={"slurm_partition": "cpu", "timeout_min": 7})
    scripts = [file.read_text() for file in slurm.iterdir() if file.name.isdigit()]
    assert len(scripts) == 4  # two jobs, twice
    for script in scripts:
        assert "#SBATCH --partition=cpu" in script
        assert "#SBATCH --time=7" in script
        assert "#SBATCH --cpus-per-task=1" in script


def test_jobs_share_a_shard(tmp_path):
    pytest.importorskip("submitit")
    run(tmp_path, "local", shard=(1, 3), episodes=9, validation=0)
    assert sorted(content(tmp_path)) == [1, 4, 7]


def test_failures_of_episodes_and_of_jobs_are_told(tmp_path):
    pytest.importorskip("submitit")
    faulty = {"simulator": faulty_env.ID, "validation": 0}
    summary = run(tmp_path / "a", "local", **faulty, env_kwargs={"fault": "raise", "seed": 2})
    assert (summary.recorded, list(summary.failed)) == (4, [2])
    with pytest.raises(InputError, match="3 episodes in a row"):
        run(tmp_path / "b", "local", **faulty, episodes=20, jobs=1,
            env_kwargs={"fault": "raise", "seed": -1})  # fmt: skip
    with pytest.raises(InputError, match=r"1 of 1 jobs failed .*run the same command again"):
        run(tmp_path / "c", "local", jobs=1, nonsense=3)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"jobs": 0}, "jobs is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"options": {"slurm_colour": "red"}}, "slurm_colour"),
        ({"policy": "explorer"}, "explorer"),
    ],
)
def test_bad_arguments_are_named(tmp_path, changed, words):
    pytest.importorskip("submitit")
    with pytest.raises(InputError, match=words):
        run(tmp_path, "local", **changed)


def test_without_slurm_that_is_said(tmp_path):
    pytest.importorskip("submitit")
    with pytest.raises(InputError, match=r"slurm takes no jobs"):
        run(tmp_path, "slurm")
