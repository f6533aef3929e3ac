"""The tables of docs/exporting.md, from the JSON that benchmarks write."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results")


def step_table() -> list[str]:
    """Speed of every backend, by the number of worlds."""
    content = _load("step.json")
    found = content["results"]
    names = [key.removesuffix(", ms a frame") for key in found if key.endswith(", ms a frame")]
    lines = [
        "| | ms a frame | frames/s | share of the GEMM rate |",
        "|---|---:|---:|---:|",
    ]
    for name in names:
        rate = found[f"{name}, frames/s"]
        share = found[f"{name}, % of the GEMM rate"]
        lines.append(f"| {name} | {1e3 / rate:.1f} | {rate:,.0f} | {share:.0f} % |")
    large = ", ".join(
        f"{value:.0f} GFLOP/s in {key.split(', ')[1]}"
        for key, value in found.items()
        if key.startswith("GEMM of")
    )
    flops = next(value for key, value in found.items() if key == "GFLOP a frame, 1 world")
    simulator = found.get("SimMaze-v0, frames/s")
    beside = f"`SimMaze-v0` itself steps {simulator:,.0f} times a second. " if simulator else ""
    return [
        *lines, "",
        f"One step is {flops:.2f} GFLOP. {beside}Large matrix products reach {large}; the share is "
        "of what products reach at the model's own shapes. One core; processor: "
        f"{content['machine']['processor']}.",
    ]  # fmt: skip


def browser_table() -> list[str]:
    """Speed of the page."""
    content = _load("browser.json")
    found = content["results"]
    return [
        f"One thread of WebAssembly: {found['WebAssembly, ms a frame']:.0f} ms a frame of `maze`, "
        f"{found['WebAssembly, frames/s']:.0f} frames/s, in headless Chromium on one core; "
        f"processor: {content['machine']['processor']}."
    ]


def drift_table() -> list[str]:
    """Agreement of backends with torch in float32."""
    found = _load("drift.json")["results"]
    moments = [t for t in (10, 30, 100) if t <= found["frames"]]
    heads = [f"{'left alone: ' * (t == moments[0])}frame {t}" for t in moments]
    lines = [
        "| | codes equal, teacher-forced | PSNR, dB | " + " | ".join(heads) + " |",
        "|---|---:|---:|" + "---:|" * len(moments),
    ]
    for name in _judged(found):
        if "," not in name:
            cells = _cells(found, name)
            cells += [
                f"{found[f'{name}: codes equal, left alone, frame {t}']:.3f}" for t in moments
            ]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, "", f"{found['walks']:.0f} walks of {found['frames']:.0f} frames."]


def int8_table() -> list[str]:
    """Size and agreement of the copies in 8 bits."""
    found = _load("drift.json")["results"]
    lines = ["| | size | codes equal, teacher-forced | PSNR, dB |", "|---|---:|---:|---:|"]
    sizes = {
        key.removesuffix(": MB"): value for key, value in found.items() if key.endswith(": MB")
    }
    for name in _judged(found):
        runtime, _, method = name.partition(", ")
        if method or name.endswith(" fp32"):
            size = f"{sizes[method or 'fp32']:.1f} MB"
            row = f"`{method}`, {runtime}" if method else runtime
            lines.append(f"| {row} | {size} | " + " | ".join(_cells(found, name)) + " |")
    return lines


def _judged(found: dict[str, float]) -> list[str]:
    end = ": PSNR, dB"
    return [key.removesuffix(end) for key in found if key.endswith(end)]


def _cells(found: dict[str, float], name: str) -> list[str]:
    share, psnr = found[f"{name}: codes equal, teacher-forced"], found[f"{name}: PSNR, dB"]
    return [f"{share:.4f}", f"{psnr:.1f}"]


def _load(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / name).read_text())
