"""Figures without a window system or global state, written whole or not at all."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
INK, PAPER, FAINT = "#1f2430", "#ffffff", "#d9dce3"


def require_figures() -> None:
    """Refuse before long work whose end is a picture.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise InputError(
            'Figures need matplotlib, which is not installed: pip install "worldmodel-env[train]".'
        ) from None


def new_figure(width: float, height: float) -> "Figure":
    """An empty matplotlib figure of that many inches, `DPI` pixels each.

    Raises:
        InputError: matplotlib is not installed.
    """
    require_figures()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER)


def save_png(figure: "Figure", path: Path) -> None:
    """Write the figure as a PNG, atomically.

    Raises:
        InputError: the file cannot be written.
    """
    image = BytesIO()
    figure.savefig(image, format="png")
    replace_file(path, image.getvalue())
