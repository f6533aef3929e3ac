"""`worldmodel export`: a world's step for other runtimes."""

from pathlib import Path
from typing import Literal


def export(
    *,
    world: str = "maze",
    format: Literal["onnx", "tensorrt", "web"] = "onnx",
    out: Path | None = None,
    precision: Literal["fp32", "fp16", "bf16"] | None = None,
    batch: str | None = None,
) -> None:
    """Export a world's step to ONNX, to TensorRT engines or as a web page (docs/exporting.md).

    Args:
        world: a shipped world's name or a world's folder.
        format: onnx is what backend="auto" then uses on CPUs.
        out: folder; if not given ONNX goes into the user's cache, where backends look for it,
            engines into `engines`, the page into `site`.
        precision: of weights and state; fp32 for ONNX and fp16 for TensorRT if not given.
        batch: rows: a number, "dynamic" for ONNX, or min,opt,max for TensorRT.
    """
    from worldmodel_env.errors import InputError

    if format == "onnx":
        from exporters import to_onnx

        made = to_onnx.to_onnx(world, out, batch or "dynamic", precision or "fp32")
        print(*to_onnx.summary(made), made.folder, sep="\n")
    elif format == "tensorrt":
        from exporters import to_tensorrt

        made = to_tensorrt.to_tensorrt(
            world, out or Path("engines"), precision or "fp16", batch or "1,16,64"
        )
        print(*to_tensorrt.summary(made), made.folder, sep="\n")
    else:
        from exporters import to_web

        if precision or batch:
            raise InputError(
                f"{'--precision' if precision else '--batch'} is for ONNX and TensorRT, not for a "
                "page, which has one row in fp32; leave it out."
            )
        print(to_web.summary(to_web.to_web(world, out or Path("site"))))
