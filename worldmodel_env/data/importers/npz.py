"""Read .npz files of unknown origin."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file.

    Raises:
        InputError: it cannot be read, or holds pickled objects, which may run any code when loaded.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise InputError(f"{path} is a single array: expected an .npz with named arrays")
            return {name: _array(content, name, path) for name in content.files}
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise InputError(f"{path} cannot be read ({error}): copy or download it again") from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        # numpy's answer to a file that is no zip archive and no array: it might be a pickle.
        raise InputError(f"{path} is no .npz file: copy or download it again") from error


def _array(content: np.lib.npyio.NpzFile, name: str, path: Path) -> NDArray[Any]:
    try:
        return content[name]
    except ValueError as error:
        if "pickle" not in str(error):
            raise InputError(f"{path}, {name!r} cannot be read ({error})") from error
        raise InputError(
            f"{path}, {name!r} holds pickled objects, which are refused because loading them may "
            "run any code: save it as an array of numbers"
        ) from error
