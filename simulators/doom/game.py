"""Starting a ViZDoom engine so that it works without a display, sound or files of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worldmodel_env.data.cache import user_cache
from worldmodel_env.errors import InputError


def new_game(simulator: str) -> Any:
    """A `vizdoom.DoomGame`, not yet started; InputError if the package is missing."""
    try:
        import filelock  # noqa: F401
        import vizdoom
    except ImportError as error:
        raise InputError(
            f"{simulator} needs the package {error.name}, which is not installed: "
            'pip install "worldmodel-env[maze]".'
        ) from error
    game = vizdoom.DoomGame()
    game.set_doom_game_path(str(Path(vizdoom.__file__).parent / "freedoom2.wad"))
    quieten(game)
    return game


def quieten(game: Any) -> None:
    """Turns off what a configuration may have turned on: window, sound, files, own time limit."""
    import vizdoom

    # Otherwise the engine would read and write a configuration in the working directory.
    game.set_doom_config_path(os.devnull)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    # The sound turned off is not enough: with this buffer the engine dies in OpenAL.
    game.set_audio_buffer_enabled(False)
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_episode_timeout(0)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)


def start(game: Any) -> None:
    """Starts the engine's process; RuntimeError if it cannot."""
    from filelock import FileLock

    user_cache().mkdir(parents=True, exist_ok=True)
    # The engine makes an empty folder of its own in the working directory, and dies if another
    # makes it or we remove it at the same moment: they start one after another.
    with FileLock(user_cache() / "vizdoom.lock"), reported("start"):
        game.init()
        with contextlib.suppress(OSError):
            Path("_vizdoom").rmdir()


@contextlib.contextmanager
def reported(deed: str) -> Iterator[None]:
    """Turns the engine's exceptions into one RuntimeError that says what could not be done."""
    import vizdoom

    try:
        yield
    except (
        vizdoom.ViZDoomErrorException,
        vizdoom.ViZDoomUnexpectedExitException,
        vizdoom.ViZDoomIsNotRunningException,
        vizdoom.SharedMemoryException,
        vizdoom.MessageQueueException,
    ) as error:
        raise RuntimeError(
            f"The ViZDoom engine could not {deed} ({error}): make a new environment."
        ) from error
