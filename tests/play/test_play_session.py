"""What each message does to a walk."""

from pathlib import Path

import av
import gymnasium
import numpy as np
import pytest
from page_server import Answer, MakeSession

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError
from worldmodel_env.play import messages as ask
from worldmodel_env.play.dreams import Dreams
from worldmodel_env.play.session import MOST_MOMENTS, PAGE, Session
from worldmodel_env.play.simulator import Simulator
from worldmodel_env.play.truth import STARTS

LEFT, RIGHT, AHEAD = range(3)


def do(session: Session, message: ask.Message) -> Answer:
    return Answer.of(session.handle(message))


def walk(session: Session, controls: list[int]) -> list[bytes]:
    return [do(session, ask.Act(control)).view for control in controls]


def now(session: Session) -> tuple[str, bytes]:
    """All that a page would be told if it came back."""
    answer = Answer.of(session.welcome("t", True))
    return str(answer.header), answer.payload


def test_a_walk_is_what_the_environment_imagines(make_session: MakeSession, dreams: Dreams) -> None:
    session = make_session()
    begun = do(session, ask.Begin(3))
    assert begun["walk"]["start"] == 3
    name = "worldmodel_env:TecoMaze-v0"
    env = gymnasium.make(name, world=dreams.world, backend="torch").unwrapped
    frame, _ = env.reset(seed=begun["walk"]["seed"], options={"start": 3})
    assert begun.view == frame.tobytes()
    total = 0.0
    for elapsed, control in enumerate([AHEAD, LEFT, AHEAD, RIGHT, AHEAD], 1):
        answer = do(session, ask.Act(control))
        frame, reward, terminated, _, info = env.step(np.int64(control))
        total += float(reward)
        scene = answer["scene"]
        assert answer.view == frame.tobytes()
        assert scene["elapsed"] == scene["last"] == elapsed
        assert scene["reward"] == pytest.approx(float(reward), abs=1e-4)
        assert scene["total"] == pytest.approx(total, abs=1e-3)
        assert scene["surprise"] == pytest.approx(float(info["surprise"]), abs=1e-4)
        assert scene["ended"] == terminated


def test_back_and_again_shows_the_same(make_session: MakeSession) -> None:
    session = make_session()
    path = [AHEAD, LEFT, AHEAD, AHEAD, RIGHT, AHEAD]
    frames = walk(session, path)
    for elapsed in (5, 2, 6, 1):
        assert do(session, ask.Seek(elapsed)).view == frames[elapsed - 1]
    assert walk(session, path[1:]) == frames[1:]


def test_another_way_from_the_past_replaces_the_future(make_session: MakeSession) -> None:
    session = make_session()
    walk(session, [AHEAD] * 5)
    do(session, ask.Seek(2))
    answer = do(session, ask.Act(LEFT))
    assert (answer["scene"]["elapsed"], answer["scene"]["last"]) == (3, 3)
    with pytest.raises(InputError, match="0 to 3"):
        session.handle(ask.Seek(4))


def test_a_kept_moment_is_gone_back_to_from_another_walk(make_session: MakeSession) -> None:
    session = make_session()
    walk(session, [AHEAD, AHEAD])
    kept = do(session, ask.Keep())["moments"]
    assert [m["elapsed"] for m in kept] == [2]
    onwards = walk(session, [LEFT, AHEAD])
    do(session, ask.Begin(None))
    walk(session, [RIGHT])
    back = do(session, ask.Jump(kept[0]["number"]))
    assert back["scene"]["elapsed"] == back["scene"]["last"] == 2
    assert [mark["elapsed"] for mark in back["walk"]["marks"]] == [0, 1, 2]
    assert walk(session, [LEFT, AHEAD]) == onwards
    do(session, ask.Seek(0))
    assert do(session, ask.Forget(kept[0]["number"]))["moments"] == []
    with pytest.raises(InputError, match="no kept moment"):
        session.handle(ask.Jump(kept[0]["number"]))


def test_kept_moments_are_bounded(make_session: MakeSession) -> None:
    session = make_session()
    for _ in range(MOST_MOMENTS):
        session.handle(ask.Keep())
    with pytest.raises(InputError, match="let go of one"):
        session.handle(ask.Keep())


def test_sampling_changes_what_comes_and_not_what_was(make_session: MakeSession) -> None:
    session = make_session()
    walk(session, [AHEAD])
    before = now(session)[1]
    assert do(session, ask.Tune(1, 2.0))["steps"] == 1
    assert now(session)[1] == before
    hot = walk(session, [AHEAD, AHEAD])
    do(session, ask.Seek(1))
    do(session, ask.Tune(2, 0.0))
    cold = walk(session, [AHEAD, AHEAD])
    assert hot != cold
    do(session, ask.Seek(1))
    do(session, ask.Tune(1, 2.0))
    assert walk(session, [AHEAD, AHEAD]) == hot


def test_an_ended_episode_goes_on_only_from_before(make_session: MakeSession) -> None:
    session = make_session()
    walk(session, [AHEAD, AHEAD])
    scene = session._walk.timeline.scenes[-1]
    object.__setattr__(scene, "ended", True)
    with pytest.raises(InputError, match="has ended"):
        session.handle(ask.Act(AHEAD))
    session.handle(ask.Seek(1))
    assert do(session, ask.Act(AHEAD))["scene"]["elapsed"] == 2


@pytest.mark.parametrize(
    "message",
    [
        ask.Hello(None),
        ask.Act(3),
        ask.Begin(12),
        ask.Seek(3),
        ask.Jump(1),
        ask.Forget(0),
        ask.Watch(True),
        ask.Clip(True),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    make_session: MakeSession, message: ask.Message
) -> None:
    session = make_session()
    walk(session, [AHEAD, LEFT])
    before = now(session)
    with pytest.raises(InputError):
        session.handle(message)
    assert now(session) == before


def test_starts_are_shown_page_by_page(make_session: MakeSession) -> None:
    session = make_session()
    before = now(session)
    answer = do(session, ask.Starts(0))
    assert [s["start"] for s in answer["starts"]] == list(range(12))
    assert answer["pages"] == 1
    shown = answer.frame(answer["starts"][5]["frame"])
    assert now(session) == before
    assert do(session, ask.Begin(5)).view == shown


def test_the_simulator_walks_along(make_session: MakeSession, toy: Simulator) -> None:
    session = make_session(toy)
    begun = do(session, ask.Begin(4))
    env = toy.make()
    frame, info = env.reset(seed=2_000_004)
    assert begun.view == begun.frame(begun["scene"]["truth"]["frame"]) == frame.tobytes()
    assert begun["scene"]["pose"] == pytest.approx(info["pose"].tolist())
    poses = [begun["scene"]["pose"]]
    for control in (AHEAD, LEFT, AHEAD):
        answer = do(session, ask.Act(control))
        frame, _, _, _, info = env.step(control)
        assert answer.frame(answer["scene"]["truth"]["frame"]) == frame.tobytes()
        poses.append(answer["scene"]["pose"])
        assert poses[-1] == pytest.approx(info["pose"].tolist())
    starts = do(session, ask.Starts(2))
    assert [s["start"] for s in starts["starts"]] == list(range(2 * PAGE, 3 * PAGE))
    do(session, ask.Seek(1))
    again = [do(session, ask.Act(control))["scene"]["pose"] for control in (LEFT, AHEAD)]
    assert again == poses[2:]
    with pytest.raises(InputError, match="start must be"):
        session.handle(ask.Begin(STARTS))


def test_a_world_that_watches_is_shown_the_truth(make_session: MakeSession, toy: Simulator) -> None:
    session = make_session(toy)
    assert do(session, ask.Watch(True))["watching"] is True
    answer = do(session, ask.Act(AHEAD))
    assert answer.view == answer.frame(answer["scene"]["truth"]["frame"])
    assert answer["scene"]["surprise"] is None
    do(session, ask.Watch(False))
    answer = do(session, ask.Act(AHEAD))
    assert answer.view != answer.frame(answer["scene"]["truth"]["frame"])
    assert answer["scene"]["surprise"] > 0


def test_the_simulator_stands_still_after_its_end(dreams: Dreams, toy: Simulator) -> None:
    from worldmodel_env.play.truth import Truth

    truth = Truth(toy, dreams.world)
    sight, _ = truth.begin(0)
    path: list[int] = []
    truth._env.unwrapped.x, truth._env.unwrapped.heading = 37.5, 0.0
    truth._done = (0, [])
    path.append(AHEAD)
    sight = truth.follow(0, path, sight)
    path.append(AHEAD)
    sight = truth.follow(0, path, sight)
    assert sight.ended
    assert sight.reward == 1
    after = truth.follow(0, [*path, LEFT], sight)
    assert after.ended
    assert after.reward == 0
    assert (after.frame == sight.frame).all()


def test_a_clip_is_a_video_of_the_walk(make_session: MakeSession, tmp_path: Path) -> None:
    session = make_session()
    walk(session, [AHEAD] * 6)
    do(session, ask.Seek(4))
    answer = do(session, ask.Clip(False))
    (path := tmp_path / answer["name"]).write_bytes(answer.payload)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 5
    assert frames[0].shape == (128, 128, 3)


def test_walks_are_recorded_as_episodes(
    make_session: MakeSession, toy: Simulator, tmp_path: Path
) -> None:
    session = make_session(toy, tmp_path / "album")
    with pytest.raises(InputError, match="walk first"):
        session.handle(ask.Clip(True))
    do(session, ask.Begin(9))
    frames = walk(session, [AHEAD, LEFT])
    do(session, ask.Watch(True))
    walk(session, [AHEAD])
    saved = do(session, ask.Clip(True))
    assert saved["files"] == [
        "walk-00001.mp4",
        "imagined/data/episodes/test-002000001.hdf5",
        "simulator/data/episodes/test-002000001.hdf5",
    ]
    do(session, ask.Begin(None))
    walk(session, [LEFT])
    assert do(session, ask.Clip(True))["files"][0] == "walk-00002.mp4"
    for name in ("imagined", "simulator"):
        assert validate(tmp_path / "album" / name).ok
    imagined = TrajectoryDataset.open(tmp_path / "album" / "imagined")
    episode = imagined.read(imagined.episodes()[0])
    assert episode.actions.tolist() == [AHEAD, LEFT, AHEAD]
    assert [frame.tobytes() for frame in episode.observations[1:3]] == frames
    assert episode.attributes["sampling_steps"].tolist() == [2, 2, -1]
    true = TrajectoryDataset.open(tmp_path / "album" / "simulator")
    episode = true.read(true.episodes()[0])
    assert episode.attributes["reset_seed"] == 2_000_009
    assert episode.pose is not None
    env = toy.make()
    frame, _ = env.reset(seed=2_000_009)
    replayed = [frame.copy(), *(env.step(action)[0].copy() for action in episode.actions)]
    assert (episode.observations == np.stack(replayed)).all()
