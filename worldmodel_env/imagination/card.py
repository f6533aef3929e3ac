"""The model card of a world: README.md beside its weights."""

from typing import Any

import gymnasium


def model_card(manifest: dict[str, Any]) -> str:
    """Markdown text of the card, from what `world.json` holds."""
    name, config = manifest["name"], manifest["config"]
    lines = [
        f"# World `{name}`",
        "",
        "A TECO world model of worldmodel-env, written by `World.save`; the numbers are those of "
        "`world.json`.",
        "",
        "```python",
        "import gymnasium, worldmodel_env",
        "",
        f'env = gymnasium.make("{_environment(manifest["provenance"])}", world="{name}")',
        "```",
        "",
        f"Frames {config['vqgan']['resolution']} x {config['vqgan']['resolution']}, attention "
        f"window {config['teco']['temporal']['window']} frames, actions "
        f"{manifest['action_space']['type']}.",
    ]
    for title, values in (("Where it comes from", "provenance"), ("Measured", "quality")):
        if manifest[values]:
            lines += ["", f"## {title}", "", "| | |", "|---|---|", *_rows(manifest[values])]
    return "\n".join(lines) + "\n"


def _environment(provenance: dict[str, Any]) -> str:
    """The id that fits the simulator, whose actions it names; all are the same environment."""
    for simulator in provenance.get("simulators", ()):
        imagined = simulator.replace("Sim", "Teco", 1)
        if imagined in gymnasium.registry:
            return imagined
    return "TecoMaze-v0"


def _rows(values: dict[str, Any], prefix: str = "") -> list[str]:
    rows = []
    for key, value in values.items():
        name = prefix + key.replace("_", " ")
        if isinstance(value, dict):
            rows += _rows(value, f"{name} / ")
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            rows.append(f"| {name} | {shown} |")
    return rows
