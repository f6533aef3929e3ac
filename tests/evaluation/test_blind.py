"""Blind comparison: what the page holds, votes in a real browser, ratings from saved votes."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import h5py
import numpy as np
import panorama
import pytest

from worldmodel_env.cli import main
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.blind import AXES
from worldmodel_env.evaluation.blind.page import write_study
from worldmodel_env.evaluation.blind.ratings import ALL, rate_votes
from worldmodel_env.evaluation.blind.trials import Study, Trial, make_trials
from worldmodel_env.evaluation.blind.votes import read_games

MODELS = ("secretive-alpha", "secretive-beta")
LEAD, FRAMES, EPISODES = 3, 20, 4


@pytest.fixture(scope="module")
def study() -> Study:
    walks = panorama.make_clips(EPISODES, FRAMES, seed=12)
    lost = walks.frames.copy()
    lost[:, LEAD:] = 255 - lost[:, LEAD:]
    names = [["left", "right", "forward"][a] for a in range(3)]
    actions = [[names[a] for a in row] for row in walks.actions]
    films = {MODELS[0]: list(walks.frames), MODELS[1]: list(lost)}
    return Study(LEAD, films, actions, make_trials(MODELS, EPISODES))


@pytest.fixture(scope="module")
def written(study: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_study(tmp_path_factory.mktemp("blind"), study)


def save_votes(path: Path, key: Path, favourite: str, rater: str = "r") -> Path:
    """Votes of somebody who always prefers one model."""
    told = json.loads(key.read_text())
    votes = [
        {"pair": name, "axis": axis, "choice": "left" if pair["left"] == favourite else "right"}
        for name, pair in told["pairs"].items()
        for axis in AXES
    ]
    content = {
        "format": "worldmodel-blind-votes", "version": 1,
        "study": told["study"], "rater": rater, "votes": votes,
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def test_every_pair_is_shown_on_every_episode_with_balanced_sides() -> None:
    trials = make_trials(["a", "b", "c"], 10, seed=3)
    assert len(trials) == len({t.name for t in trials}) == 30
    for a, b in (("a", "b"), ("a", "c"), ("b", "c")):
        mine = [t for t in trials if {t.left, t.right} == {a, b}]
        assert sorted(t.episode for t in mine) == list(range(10))
        assert sum(t.left == a for t in mine) == 5
    assert [t.episode for t in trials[:10]] != list(range(10))
    for names in (["a"], ["a", "a"]):
        with pytest.raises(InputError, match="different names"):
            make_trials(names, 3)


def test_the_page_tells_nothing_of_the_models(study: Study, written: tuple[Path, Path]) -> None:
    page, key = written
    text = page.read_text()
    assert not any(name in text for name in MODELS)
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    pairs = json.loads(key.read_text())["pairs"]
    assert pairs == {
        t.name: {"left": t.left, "right": t.right, "episode": t.episode} for t in study.trials
    }


def test_votes_become_ratings(written: tuple[Path, Path], tmp_path: Path) -> None:
    _, key = written
    votes = [save_votes(tmp_path / f"{r}.json", key, MODELS[1], r) for r in ("r1", "r2")]
    games = read_games(key, [*votes, votes[0]])  # a file given twice counts once
    assert {axis: len(some) for axis, some in games.items()} == dict.fromkeys(AXES, 2 * EPISODES)
    table = rate_votes(key, votes)
    assert set(table) == {*AXES, ALL}
    for ratings in table.values():
        assert next(iter(ratings)) == MODELS[1]
        assert ratings[MODELS[1]].low > ratings[MODELS[0]].high
    assert table[ALL][MODELS[1]].games == 2 * EPISODES * len(AXES)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"study": "other"}, "study"),
        ({"format": "something"}, "form"),
        ({"votes": [{"pair": "pair-99", "axis": "looks", "choice": "left"}]}, "pair-99"),
        ({"votes": [{"pair": "pair-1", "axis": "looks", "choice": "both"}]}, "both"),
        ({"votes": []}, "no vote"),
    ],
)
def test_wrong_votes_are_refused(
    written: tuple[Path, Path], tmp_path: Path, change: dict, reason: str
) -> None:
    path = save_votes(tmp_path / "v.json", written[1], MODELS[0])
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=reason):
        rate_votes(written[1], [path])
    with pytest.raises(InputError, match="cannot be read"):
        rate_votes(written[1], [tmp_path / "missing.json"])


def predictions(path: Path, name: str, episodes: list[int], side: int, value: int) -> str:
    """A file of grey predictions."""
    with h5py.File(path, "w") as file:
        file.attrs.update(format="worldmodel-predictions", format_version=1, model=name)
        group = file.create_group("prediction")
        group.attrs.update(context=3, horizon=5, actions=True)
        frames = np.full((len(episodes), 5, side, side, 3), value, np.uint8)
        group.create_dataset("frames", data=frames)
        group.create_dataset("episodes", data=np.array(episodes))
    return str(path)


def test_the_command_compares_files_and_worlds(
    toy_set: Path, nano_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from worldmodel_env.data.dataset import TrajectoryDataset

    dataset = TrajectoryDataset.open(toy_set)
    side = dataset.observation_space.shape[0]
    ids = [ref.id for ref in dataset.episodes("test") if ref.total_steps >= 8]
    models = [
        predictions(tmp_path / "dark.hdf5", "dark", ids, side, 20),
        predictions(tmp_path / "bright.hdf5", "bright", ids[:2], side, 200),
        str(nano_world),
    ]
    out = tmp_path / "study"
    main(["blind", *models, "--data", str(toy_set), "--out", str(out)])
    pairs = json.loads((out / "key.json").read_text())["pairs"].values()
    assert len(pairs) == 3 * len(ids[:2])
    assert {p["left"] for p in pairs} | {p["right"] for p in pairs} == {"dark", "bright", "nano"}
    votes = save_votes(tmp_path / "v.json", out / "key.json", "dark")
    main(["elo", str(out / "key.json"), str(votes), "--out", str(tmp_path / "elo.json")])
    table = json.loads((tmp_path / "elo.json").read_text())
    assert table["looks"]["dark"]["elo"] > table["looks"]["bright"]["elo"]
    assert "all axes" in capsys.readouterr().out


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    if chromium.find() is None:
        pytest.skip("no Chromium here: `apt-get install chromium` brings one")
    with chromium.running(tmp_path_factory.mktemp("chromium")) as running:
        yield running


def reopened(browser: chromium.Browser, page_file: Path, record: Any) -> chromium.Page:
    """The page in a new tab, once what the closed one kept has reached the disk."""
    end = time.monotonic() + 15
    while True:
        browser.close_all()
        page = browser.open(page_file.as_uri())
        page.wait("document.body.dataset.ready === 'yes'")
        if page.run("record()") == record or time.monotonic() > end:
            return page


def test_a_person_votes_in_the_browser(
    browser: chromium.Browser, written: tuple[Path, Path], study: Study
) -> None:
    page_file, key = written
    page = browser.open(page_file.as_uri())
    page.resize(1000, 1000)
    page.wait("document.body.dataset.ready === 'yes'")
    trial: Trial = study.trials[0]
    shown = page.run(
        "(time => (time.value = 7, time.dispatchEvent(new Event('input')),"
        " document.getElementById('action').textContent))(document.getElementById('time'))"
    )
    assert shown == f"· {study.actions[trial.episode][6]}"
    assert page.run("document.getElementById('kind').textContent") == "imagined, frame 5"
    seen = page.run(
        "[...document.getElementById('left').getContext('2d').getImageData(0, 0, 1, 1).data]"
    )
    assert seen[:3] == study.films[trial.left][trial.episode][7, 0, 0].tolist()
    assert page.run("document.getElementById('next').disabled")
    for axis in AXES:
        page.run(f"""document.querySelector('input[name="{axis}"][value="right"]').click()""")
    page.wait("!document.getElementById('next').disabled")
    page.run("document.getElementById('next').click()")
    page.run("document.querySelector('input[name=looks][value=tie]').click()")
    page.run("(r => (r.value = 'Zoë', r.dispatchEvent(new Event('input'))))(rater)")
    record = page.run("record()")
    assert record["rater"] == "Zoë"
    assert len(record["votes"]) == len(AXES) + 1

    again = reopened(browser, page_file, record)  # closed and opened: nothing is lost
    assert again.run("record()") == record
    assert again.run("document.getElementById('done').textContent") == "1"
    assert again.run("current") == 1
    assert again.run("errors") == []
    saved = key.parent / "votes.json"
    saved.write_text(json.dumps(record))
    games = read_games(key, [saved])
    assert [(g.first, g.second, g.score) for g in games["actions"]] == [
        (trial.left, trial.right, 0.0)
    ]
    assert [g.score for g in games["looks"]] == [0.0, 0.5]
    browser.close_all()
