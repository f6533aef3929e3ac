"""The published model's own numbers, stage by stage, and the command that compares with them."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from worldmodel_env.cli import main
from worldmodel_env.errors import InputError
from worldmodel_env.training.parity import check_parity

FILE = Path(__file__).parents[1] / "fixtures" / "teco-parity-micro.npz"
STAGES = {
    "cond": "out/cond",
    "z codes": "out/z_codes",
    "z embeddings": "out/z_embeddings",
    "VQ losses": "out/commitment_loss",
    "deter": "out/deter",
    "MaskGit logits": "out/git_logits",
    "decoder logits": "out/recon_logits",
    "reconstruction loss": "out/recon_loss",
}
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    with np.load(FILE, allow_pickle=False) as file:
        return dict(file)


def write(folder: Path, arrays: Arrays, **changed: np.ndarray) -> Path:
    """A parity file with some arrays replaced."""
    path = folder / "parity.npz"
    np.savez(path, **{**arrays, **changed})
    return path


def differing(path: Path) -> set[str]:
    return {stage.name for stage in check_parity(path).stages if not stage.ok}


def test_every_stage_agrees_with_the_reference() -> None:
    parity = check_parity(FILE)
    assert [stage.name for stage in parity.stages] == list(STAGES)
    difference = {stage.name: stage.difference for stage in parity.stages}
    assert difference.pop("z codes") == 0
    assert difference.pop("reconstruction loss") < 1e-4  # of 1195
    assert max(difference.values()) < 1e-5
    assert parity.ok


def test_the_file_tries_actions_known_and_unknown_within_one_clip(arrays: Arrays) -> None:
    unknown = (arrays["in/actions"][:, 1:] == -1).mean(1)
    assert (unknown > 0).all()
    assert (unknown < 1).all()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("wrong", [1e-3, np.nan])
def test_a_number_that_deviates_is_seen_at_its_stage(
    tmp_path: Path, arrays: Arrays, stage: str, wrong: float
) -> None:
    name = STAGES[stage]
    other = arrays[name].copy()
    if other.dtype.kind == "i":
        other.flat[0] = (other.flat[0] + 1) % 128
    else:
        other.flat[0] += wrong
    assert differing(write(tmp_path, arrays, **{name: other})) == {stage}


def test_another_parameter_is_seen_from_its_stage_on(tmp_path: Path, arrays: Arrays) -> None:
    name = "param/z_unproj/kernel"
    path = write(tmp_path, arrays, **{name: arrays[name][::-1].copy()})
    assert differing(path) == {"deter", "decoder logits", "reconstruction loss"}


def test_actions_are_those_that_led_to_a_frame(tmp_path: Path, arrays: Arrays) -> None:
    actions = arrays["in/actions"]
    first = np.concatenate([5 - actions[:, :1], actions[:, 1:]], 1)
    assert differing(write(tmp_path, arrays, **{"in/actions": first})) == set()
    assert "deter" in differing(write(tmp_path, arrays, **{"in/actions": np.roll(actions, -1, 1)}))
    last_row = np.where(actions == -1, 6, actions)
    assert differing(write(tmp_path, arrays, **{"in/actions": last_row})) == set()


def run(*words: object) -> int:
    try:
        main(["check-parity", *map(str, words)])
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


def test_the_command_prints_the_differences(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(FILE) == 0
    assert run(FILE, "--temporal-heads", 4, "--maskgit-heads", 4) == 0
    printed = capsys.readouterr().out
    assert all(stage in printed for stage in STAGES)
    assert "DIFFERS" not in printed


def test_the_command_fails_where_a_stage_differs(
    tmp_path: Path, arrays: Arrays, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, arrays, **{"out/deter": arrays["out/deter"] + np.float32(2e-4)})
    assert run(path) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "DIFFERS" in line] == ["deter"]


def test_the_command_refuses_other_heads(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(FILE, "--temporal-heads", 2) == 2
    assert "temporal_heads is 2" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["absent", "empty", "pickle", "npy", "cut"])
def test_files_that_are_no_npz_are_refused(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "parity.npz"
    if kind == "npy":
        with path.open("wb") as stream:
            np.save(stream, np.zeros(3))
    elif kind != "absent":
        content = {"empty": b"", "pickle": pickle.dumps({}), "cut": FILE.read_bytes()[:100_000]}
        path.write_bytes(content[kind])
    assert run(path) == 2
    assert f"{path} cannot be read as an npz" in capsys.readouterr().err


def test_pickled_arrays_are_not_opened(
    tmp_path: Path, arrays: Arrays, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = tmp_path / "opened"
    trap = np.empty(1, dtype=object)
    trap[0] = Trap(str(opened))
    assert run(write(tmp_path, arrays, **{"param/sos": trap})) == 2
    assert "allow_pickle=False" in capsys.readouterr().err
    assert not opened.exists()


class Trap:
    """Leaves a file behind when unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[type[Path.touch], tuple[Path]]:
        return Path.touch, (Path(self.path),)


@pytest.mark.parametrize("name", ["in/codes", "in/actions", "in/vq_table", *STAGES.values()])
def test_arrays_that_are_missing_or_misshapen_are_named(
    tmp_path: Path, arrays: Arrays, name: str
) -> None:
    rest = {other: array for other, array in arrays.items() if other != name}
    with pytest.raises(InputError, match=f"{name} is missing"):
        check_parity(write(tmp_path, rest))
    with pytest.raises(InputError, match=rf"{name} in .* expected"):
        check_parity(write(tmp_path, {**rest, name: arrays[name][None]}))


def test_codes_that_do_not_exist_are_refused(tmp_path: Path, arrays: Arrays) -> None:
    codes = arrays["in/codes"] + 1
    with pytest.raises(InputError, match=r"in/codes .* to 64, expected 0 to 63"):
        check_parity(write(tmp_path, arrays, **{"in/codes": codes}))
