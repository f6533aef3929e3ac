"""Worlds on disk: what is saved is what is loaded."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from nano import SPACES, make_nano

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import MANIFEST, WEIGHTS, World, find_world, shipped_worlds


@pytest.mark.parametrize("kind", SPACES)
def test_round_trip(tmp_path, kind):
    world = replace(make_nano(kind), quality={"PSNR at 1 (dB)": 20.5})
    folder = world.save(tmp_path / "deep" / "world")
    again = World.load(folder)
    assert (again.name, again.config, again.action_space) == ("nano", world.config, SPACES[kind])
    assert again.observation_space == spaces.Box(0, 255, (32, 32, 3), np.uint8)
    assert (again.provenance, again.quality) == (world.provenance, world.quality)
    assert again.starts.dtype == np.uint16
    np.testing.assert_array_equal(again.starts, world.starts)
    assert set(again.weights) == set(world.weights)
    for name, tensor in world.weights.items():
        assert again.weights[name].dtype == tensor.dtype
        assert torch.equal(again.weights[name], tensor.half().to(tensor.dtype)), name


def test_saving_what_was_loaded_changes_nothing(tmp_path, nano_world):
    first = World.load(nano_world)
    second = World.load(first.save(tmp_path / "copy"))
    assert second.digest == first.digest
    assert len(first.digest) == 64


def test_a_folder_holds_four_small_files_and_a_card(nano_world):
    names = {p.name for p in nano_world.iterdir()}
    assert names == {"world.json", "weights.safetensors", "starts.hdf5", "README.md"}
    half = 2 * sum(v.numel() for v in World.load(nano_world).weights.values())
    assert (nano_world / WEIGHTS).stat().st_size < half + 40_000
    card = (nano_world / "README.md").read_text()
    assert "# World `nano`" in card
    assert "| training | none |" in card


@pytest.mark.parametrize(
    ("simulator", "expected"),
    [("SimDMLab-v0", "TecoDMLab-v0"), ("SimMaze-v0", "TecoMaze-v0"), ("gym:Toy-v0", "TecoMaze-v0")],
)
def test_the_card_names_the_environment_of_its_simulator(simulator, expected, tmp_path):
    world = replace(make_nano(), provenance={"simulators": [simulator]})
    card = (world.save(tmp_path / "world") / "README.md").read_text()
    assert f'gymnasium.make("{expected}", world="nano")' in card


def test_imagination_leaves_random_numbers_alone(nano_world):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    model = World.load(nano_world).imagination()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


def test_worlds_by_name_and_path(nano_world, monkeypatch, tmp_path):
    assert find_world(nano_world) == nano_world
    assert find_world(str(nano_world)) == nano_world
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="'mars' is neither shipped") as error:
        World.load("mars")
    assert all(name in str(error.value) for name in shipped_worlds())


def test_the_maze_world_is_shipped():
    assert "maze" in shipped_worlds()


def copy_of(folder, target):
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.fixture
def damaged(nano_world, tmp_path):
    """A copy to be damaged."""
    return copy_of(nano_world, tmp_path / "damaged")


@pytest.mark.parametrize("name", ["weights.safetensors", "starts.hdf5"])
def test_damaged_files_are_named(damaged, name):
    path = damaged / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=f"{name} is damaged .*checksum.*again"):
        World.load(damaged)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=f"{name} is damaged .*checksum"):
        World.load(damaged)
    path.unlink()
    with pytest.raises(InputError, match=f"{name} is damaged .*missing"):
        World.load(damaged)


def test_no_manifest(damaged):
    (damaged / MANIFEST).unlink()
    with pytest.raises(InputError, match=r"neither shipped .* nor a folder with a world.json"):
        World.load(damaged)


@pytest.mark.parametrize("content", [b"", b'{"schema_version": 1, "na', b"[]", b"3", b"\xff\xfe"])
def test_truncated_manifest(damaged, content):
    (damaged / MANIFEST).write_bytes(content)
    with pytest.raises(InputError, match=r"world.json is damaged"):
        World.load(damaged)


def edited(folder, change):
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_newer_schema(damaged):
    edited(damaged, lambda m: m.update(schema_version=2))
    with pytest.raises(InputError, match="schema version 2, this worldmodel-env reads 1; upgrade"):
        World.load(damaged)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("sha256"), "damaged.*sha256"),
        (lambda m: m.update(sha256=[1]), "world.json is damaged"),
        (lambda m: m["sha256"].pop("starts.hdf5"), "starts.hdf5 is damaged"),
        (lambda m: m.pop("name"), "damaged.*name"),
        (lambda m: m["config"].pop("max_episode_steps"), "config .*lacks.*max_episode_steps"),
        (lambda m: m["config"].update(new=1), "world.json: config .*new"),
        (lambda m: m["config"]["teco"].update(embed_dim="16"), r"config\.teco\.embed_dim is '16'"),
        (lambda m: m["config"]["teco"].update(embed_dim=17), "do not fit its configuration"),
        (lambda m: m["config"]["vqgan"].update(n_codes=65), "65"),
        (lambda m: m["config"]["teco"].update(actions=None), "action space Discrete"),
        (lambda m: m["action_space"].update(n=4), r"action space Discrete\(4\)"),
        (lambda m: m["action_space"].update(type="Dict"), "of no known type"),
    ],
)
def test_manifests_that_do_not_fit(damaged, change, words):
    edited(damaged, change)
    with pytest.raises(InputError, match=words) as error:
        World.load(damaged).imagination()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("starts", "words"),
    [
        (np.zeros((0, 8, 8), np.uint16), "at least one"),
        (np.zeros((4, 7, 8), np.uint16), r"\(4, 7, 8\), expected .* \(N, 8, 8\)"),
        (np.full((4, 8, 8), 64, np.uint16), "up to 64, expected uint16 codes under 64"),
        (np.zeros((4, 8, 8), np.int64), "int64"),
    ],
)
def test_starts_that_do_not_fit(starts, words):
    with pytest.raises(InputError, match=words):
        replace(make_nano(), starts=starts)


def test_saving_over_a_world_fails_whole(nano_world, damaged, monkeypatch):
    """No space for the third file: the old world is still there, and nothing else."""
    written = []

    def full_after_two(path, content):
        if len(written) == 2:
            raise InputError(f"cannot write {path} (No space left on device)")
        written.append(path.name)
        path.write_bytes(content)

    monkeypatch.setattr("worldmodel_env.imagination.world.replace_file", full_after_two)
    with pytest.raises(InputError, match="No space"):
        make_nano(seed=1).save(damaged)
    assert World.load(damaged).digest == World.load(nano_world).digest
    assert len(list(damaged.iterdir())) == 4


def test_a_save_cut_between_two_files_is_noticed(damaged, tmp_path):
    other = make_nano(seed=1).save(tmp_path / "other")
    (damaged / WEIGHTS).write_bytes((other / WEIGHTS).read_bytes())
    with pytest.raises(InputError, match=r"weights.safetensors is damaged .*checksum"):
        World.load(damaged)


def test_saving_where_a_file_is(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write the world to .*file"):
        make_nano().save(tmp_path / "file")
